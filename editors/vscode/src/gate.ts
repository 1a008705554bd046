/**
 * Whether the server is asked at all, and if not, why: decided from settings and the editor alone.
 */
import * as vscode from 'vscode';
import { isEnabled, type Settings } from './settings';

/** Documents that get suggestions; output, source control input and diffs do not. */
export const SCHEMES: readonly string[] = [
  'file',
  'untitled',
  'vscode-notebook-cell',
  'vscode-vfs',
];

export const PAUSED = 'paused';

/** Why nothing is asked: two or three words for the status bar, and a sentence. */
export interface Silence {
  readonly label: string;
  readonly detail: string;
}

/** What keeps a document silent however it is edited. */
export function documentSilence(
  document: vscode.TextDocument,
  settings: Settings,
): Silence | undefined {
  if (!SCHEMES.includes(document.uri.scheme)) {
    return { label: 'not a file', detail: 'Only files and notebooks get suggestions.' };
  }
  if (settings.paused) {
    return { label: PAUSED, detail: 'Suggestions are paused in all files.' };
  }
  if (!isEnabled(settings, document.languageId)) {
    const detail = `Suggestions are off for ${document.languageId} (umbrella.enable).`;
    return { label: `off for ${document.languageId}`, detail };
  }
  const glob = excludedBy(document, settings);
  if (glob) {
    return { label: 'excluded', detail: `The file matches “${glob}” in umbrella.exclude.` };
  }
  return undefined;
}

/** The glob of `umbrella.exclude` that matches a document. */
export function excludedBy(document: vscode.TextDocument, settings: Settings): string | undefined {
  return settings.exclude.find((pattern) => vscode.languages.match({ pattern }, document) > 0);
}

/** What keeps this one request from being made. */
export function requestSilence(
  document: vscode.TextDocument,
  context: vscode.InlineCompletionContext,
  settings: Settings,
): Silence | undefined {
  const always = documentSilence(document, settings);
  if (always) {
    return always;
  }
  const typed = context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic;
  if (typed && settings.trigger === 'manual') {
    return { label: 'manual', detail: 'Suggestions come when asked for (umbrella.trigger).' };
  }
  const editor = vscode.window.activeTextEditor;
  if (editor?.document !== document) {
    return undefined;
  }
  if (editor.selections.length > 1) {
    return { label: 'several cursors', detail: 'With several cursors nothing is suggested.' };
  }
  if (!editor.selection.isEmpty) {
    return { label: 'selection', detail: 'While text is selected nothing is suggested.' };
  }
  return undefined;
}
