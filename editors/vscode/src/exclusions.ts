/** Keeps files that the user has excluded away from the server: it is never told their text. */
import type * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { excludedBy } from './gate';
import { readSettings } from './settings';

/** Middleware that passes on what happens to a document only where no glob matches it. */
export function withoutExcluded(): Middleware {
  const unless =
    <T>(documentOf: (event: T) => vscode.TextDocument) =>
    async (event: T, next: (event: T) => Promise<void>): Promise<void> => {
      if (!excludedBy(documentOf(event), readSettings())) {
        await next(event);
      }
    };
  const itself = (document: vscode.TextDocument) => document;
  return {
    didOpen: unless(itself),
    didSave: unless(itself),
    didClose: unless(itself),
    didChange: unless((event) => event.document),
  };
}
