/**
 * Where VS Code begins. Only what is seen at once is loaded here; the language client is large and
 * comes right after, so that VS Code's start does not wait for it.
 */
import * as vscode from 'vscode';
import type { Session } from './session';
import { State } from './state';
import { StatusItem } from './status';

let session: Session | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const began = performance.now();
  const log = vscode.window.createOutputChannel('Umbrella', { log: true });
  const state = new State();
  context.subscriptions.push(log, state, new StatusItem(state));
  const { begin } = await import('./session.js');
  session = begin(context, state, log);
  log.info(`loaded in ${(performance.now() - began).toFixed(0)} ms`);
}

export async function deactivate(): Promise<void> {
  await session?.end();
}
