/** Puts the parts together for one window. */
import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { Acceptance } from './acceptance';
import { Server } from './client';
import { registerCommands } from './commands';
import { Completions } from './completions';
import { withoutExcluded } from './exclusions';
import { Focus } from './focus';
import { documentSilence, excludedBy, SCHEMES } from './gate';
import { Notebooks } from './notebooks';
import { watchOtherProviders } from './providers';
import { readSettings, SECTION } from './settings';
import type { State } from './state';
import { Statistics } from './statistics';

/** Settings that only a new server takes over. */
const RESTARTING = ['umbrella.server', 'umbrella.logLevel', 'umbrella.exclude'] as const;

export interface Session {
  /** Stop the server. */
  end(): Promise<void>;
}

/** Make everything and start the server; nothing is waited for. */
export function begin(
  context: vscode.ExtensionContext,
  state: State,
  log: vscode.LogOutputChannel,
): Session {
  const connection = () => server.connection;
  const acceptance: Acceptance = new Acceptance(connection);
  const completions: Completions = new Completions(state, acceptance);
  const server: Server = new Server(state, log, { ...withoutExcluded(), ...asking(completions) });
  const statistics = new Statistics(server);
  const focus = new Focus(
    server,
    (document) => isOurs(document) && !excludedBy(document, readSettings()),
  );
  context.subscriptions.push(
    acceptance,
    new Notebooks(connection, completions),
    statistics,
    focus,
    registerCommands({ state, server, acceptance, statistics, log }),
    watchOtherProviders(context.globalState),
    ...follow(state, server, focus),
  );
  void server.start().then(() => {
    if (vscode.window.activeTextEditor) {
      focus.tell(vscode.window.activeTextEditor);
    }
  });
  return { end: () => server.stop() };
}

function asking(completions: Completions): Middleware {
  return {
    provideInlineCompletionItems: (document, position, context, token, next) =>
      completions.provide(document, context, token, () => next(document, position, context, token)),
  };
}

function isOurs(document: vscode.TextDocument): boolean {
  return SCHEMES.includes(document.uri.scheme);
}

/** Follow the editor in front and the settings. */
function follow(state: State, server: Server, focus: Focus): vscode.Disposable[] {
  const look = () => {
    const editor = vscode.window.activeTextEditor;
    const known = editor && isOurs(editor.document);
    state.silence = known ? documentSilence(editor.document, readSettings()) : undefined;
    if (editor) {
      focus.tell(editor);
    }
  };
  look();
  return [
    vscode.window.onDidChangeActiveTextEditor(look),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION)) {
        look();
      }
      if (RESTARTING.some((section) => event.affectsConfiguration(section))) {
        void server.restart();
      }
    }),
  ];
}
