/** Tells the server where somebody may begin to type, so that the first suggestion is ready. */
import * as vscode from 'vscode';
import type { Server } from './client';

/** Milliseconds that a moved cursor must rest before it is worth reading up to it. */
const REST_MS = 100;

export class Focus implements vscode.Disposable {
  private resting: ReturnType<typeof setTimeout> | undefined;
  private document: vscode.TextDocument | undefined;
  private version = 0;
  private readonly following: vscode.Disposable;

  /** `wanted` tells which documents the server may hear of. */
  constructor(
    private readonly server: Server,
    private readonly wanted: (document: vscode.TextDocument) => boolean,
  ) {
    this.following = vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
      const { document } = textEditor;
      const typed = document === this.document && document.version !== this.version;
      this.document = document;
      this.version = document.version;
      if (!typed) {
        // typing asks for suggestions anyway
        this.later(textEditor);
      }
    });
  }

  /** Tell of the document and of its cursor. */
  tell(editor: vscode.TextEditor): void {
    if (this.wanted(editor.document)) {
      const { line, character } = editor.selection.active;
      void this.server.connection?.sendNotification('textDocument/didFocus', {
        textDocument: { uri: editor.document.uri.toString() },
        position: { line, character },
      });
    }
  }

  dispose(): void {
    clearTimeout(this.resting);
    this.following.dispose();
  }

  private later(editor: vscode.TextEditor): void {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (editor === vscode.window.activeTextEditor) {
        this.tell(editor);
      }
    }, REST_MS);
  }
}
