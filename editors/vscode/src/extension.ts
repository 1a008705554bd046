/** Puts the parts together when VS Code has started; nothing is waited for. */
import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { Acceptance } from './acceptance';
import { Server } from './client';
import { registerCommands } from './commands';
import { Completions } from './completions';
import { withoutExcluded } from './exclusions';
import { documentSilence, SCHEMES } from './gate';
import { Notebooks } from './notebooks';
import { watchOtherProviders } from './providers';
import { readSettings } from './settings';
import { State } from './state';
import { Statistics } from './statistics';
import { StatusItem } from './status';

/** Settings that only a new server takes over. */
const RESTARTING = ['umbrella.server', 'umbrella.logLevel', 'umbrella.exclude'] as const;

let server: Server | undefined;
const connection = () => server?.connection;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Umbrella', { log: true });
  const state = new State();
  const acceptance = new Acceptance(connection);
  const completions = new Completions(state, acceptance);
  const running = new Server(state, log, {
    ...withoutExcluded(),
    ...asking(completions),
  });
  server = running;
  const statistics = new Statistics(running);
  context.subscriptions.push(
    log,
    state,
    new StatusItem(state),
    acceptance,
    new Notebooks(connection, completions),
    statistics,
    registerCommands({ state, server: running, acceptance, statistics, log }),
    watchOtherProviders(context.globalState),
    ...followEditor(state, running),
  );
  void running.start();
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

function asking(completions: Completions): Middleware {
  return {
    provideInlineCompletionItems: (document, position, context, token, next) =>
      completions.provide(document, context, token, () => next(document, position, context, token)),
  };
}

/** Follow the editor in front and the settings. */
function followEditor(state: State, running: Server): vscode.Disposable[] {
  const look = () => {
    const document = vscode.window.activeTextEditor?.document;
    const known = document && SCHEMES.includes(document.uri.scheme);
    state.silence = known ? documentSilence(document, readSettings()) : undefined;
    if (known) {
      const textDocument = { uri: document.uri.toString() };
      void running.connection?.sendNotification('textDocument/didFocus', { textDocument });
    }
  };
  look();
  return [
    vscode.window.onDidChangeActiveTextEditor(look),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('umbrella')) {
        look();
      }
      if (RESTARTING.some((section) => event.affectsConfiguration(section))) {
        void running.restart();
      }
    }),
  ];
}
