/**
 * Learns what became of a suggestion. That all of it was accepted, the item's own command tells
 * the server; that a part was, VS Code tells nobody, so it is read off the changes of the document:
 * text that is the next piece of the suggestion and longer than a key was accepted.
 */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';

interface Shown {
  readonly document: vscode.TextDocument;
  readonly item: vscode.InlineCompletionItem;
  readonly text: string;
  readonly start: number; // offset of the text in the document
  done: number; // UTF-16 units of the text that are in the document
}

export class Acceptance implements vscode.Disposable {
  private current: Shown | undefined;
  private asked = false;
  private readonly listener: vscode.Disposable;

  constructor(private readonly connection: () => LanguageClient | undefined) {
    this.listener = vscode.workspace.onDidChangeTextDocument((event) => {
      this.changed(event);
    });
  }

  dispose(): void {
    this.listener.dispose();
  }

  /** Note an item that VS Code was given for a document as it is now. */
  shown(document: vscode.TextDocument, item: vscode.InlineCompletionItem): void {
    if (typeof item.insertText !== 'string' || !item.range) {
      return;
    }
    const text = item.insertText;
    const before = document.getText(item.range);
    const done = text.startsWith(before) ? before.length : 0;
    const start = document.offsetAt(item.range.start);
    this.current = { document, item, text, start, done };
    this.send('textDocument/didShowCompletion', {});
  }

  /** Run a command that accepts the next piece, be it a single character. */
  async accept(command: string): Promise<void> {
    this.asked = true;
    try {
      await vscode.commands.executeCommand(command);
    } finally {
      this.asked = false;
    }
  }

  private changed(event: vscode.TextDocumentChangeEvent): void {
    const shown = this.current;
    if (shown?.document !== event.document || event.contentChanges.length === 0) {
      return;
    }
    const piece = nextPiece(shown, event.contentChanges);
    if (piece === undefined) {
      this.current = undefined;
      return;
    }
    shown.done += piece.length;
    const accepted = piece.length > 1 || this.asked;
    if (accepted && shown.done < shown.text.length) {
      this.send('textDocument/didPartiallyAcceptCompletion', { acceptedLength: shown.done });
    }
  }

  private send(method: string, more: object): void {
    const client = this.connection();
    if (!client || !this.current?.item.range) {
      return;
    }
    const { item, text } = this.current;
    const range = client.code2ProtocolConverter.asRange(item.range);
    const command = item.command && client.code2ProtocolConverter.asCommand(item.command);
    void client.sendNotification(method, { item: { insertText: text, range, command }, ...more });
  }
}

/** The text of a change, where it is what the suggestion goes on with. */
function nextPiece(
  shown: Shown,
  changes: readonly vscode.TextDocumentContentChangeEvent[],
): string | undefined {
  const [change] = changes;
  if (changes.length !== 1 || !change) {
    return undefined;
  }
  const overlap = shown.start + shown.done - change.rangeOffset; // of text it writes again
  const piece = change.text.slice(overlap);
  const fits =
    overlap >= 0 &&
    piece.length > 0 &&
    change.rangeLength >= overlap &&
    shown.text.startsWith(change.text, shown.done - overlap);
  return fits ? piece : undefined;
}
