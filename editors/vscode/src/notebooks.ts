/**
 * Suggestions in the cells of notebooks. The server sees one document for each language of a
 * notebook: its cells one below the other, so that a cell is completed knowing those above.
 */
import * as vscode from 'vscode';
import {
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  InlineCompletionRequest,
  type LanguageClient,
} from 'vscode-languageclient/node';
import type { Completions } from './completions';

const SEPARATOR = '\n\n';
/** How a line of prose is written in a language; of others prose is left out. */
const COMMENTS: Readonly<Record<string, string>> = {
  python: '# ',
  r: '# ',
  julia: '# ',
  ruby: '# ',
  shellscript: '# ',
  javascript: '// ',
  typescript: '// ',
  csharp: '// ',
};

interface Joined {
  readonly uri: string;
  readonly text: string;
  readonly line: number; // of the joined text, where the cell begins
}

export class Notebooks implements vscode.InlineCompletionItemProvider, vscode.Disposable {
  private readonly versions = new Map<string, number>(); // of what the server has open
  private readonly listeners: vscode.Disposable[];
  private client: LanguageClient | undefined;

  constructor(
    private readonly connection: () => LanguageClient | undefined,
    private readonly completions: Completions,
  ) {
    this.listeners = [
      vscode.languages.registerInlineCompletionItemProvider({ notebookType: '*' }, this),
      vscode.workspace.onDidCloseNotebookDocument((notebook) => {
        this.close(notebook);
      }),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(...this.listeners).dispose();
  }

  provideInlineCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ) {
    const client = this.connection();
    const joined = join(document);
    if (!client || !joined) {
      return undefined;
    }
    return this.completions.provide(document, context, token, async () => {
      await this.open(client, joined, document.languageId);
      const params = client.code2ProtocolConverter.asInlineCompletionParams(
        document,
        position.translate(joined.line),
        { ...context, selectedCompletionInfo: below(context.selectedCompletionInfo, joined.line) },
      );
      params.textDocument.uri = joined.uri;
      const answer = await client.sendRequest(InlineCompletionRequest.type, params, token);
      const result = await client.protocol2CodeConverter.asInlineCompletionResult(answer, token);
      const items = Array.isArray(result) ? result : (result?.items ?? []);
      for (const item of items) {
        item.range = item.range && moved(item.range, -joined.line);
      }
      return items;
    });
  }

  private async open(client: LanguageClient, joined: Joined, languageId: string): Promise<void> {
    if (client !== this.client) {
      this.client = client;
      this.versions.clear(); // another server knows nothing
    }
    const { uri, text } = joined;
    const version = (this.versions.get(uri) ?? 0) + 1;
    this.versions.set(uri, version);
    if (version === 1) {
      const textDocument = { uri, languageId, version, text };
      await client.sendNotification(DidOpenTextDocumentNotification.type, { textDocument });
    } else {
      const change = { textDocument: { uri, version }, contentChanges: [{ text }] };
      await client.sendNotification(DidChangeTextDocumentNotification.type, change);
    }
  }

  private close(notebook: vscode.NotebookDocument): void {
    const start = joinedUri(notebook, '');
    for (const uri of [...this.versions.keys()].filter((known) => known.startsWith(start))) {
      this.versions.delete(uri);
      void this.client?.sendNotification(DidCloseTextDocumentNotification.type, {
        textDocument: { uri },
      });
    }
  }
}

function join(document: vscode.TextDocument): Joined | undefined {
  const notebook = vscode.workspace.notebookDocuments.find((one) =>
    one.getCells().some((cell) => cell.document === document),
  );
  if (!notebook) {
    return undefined;
  }
  const language = document.languageId;
  const parts: string[] = [];
  let line = 0;
  for (const cell of notebook.getCells()) {
    if (cell.document === document) {
      line = parts.join('').split('\n').length - 1;
    }
    const text = cellText(cell, language);
    if (text !== undefined) {
      parts.push(text + SEPARATOR);
    }
  }
  return { uri: joinedUri(notebook, language), text: parts.join(''), line };
}

function cellText(cell: vscode.NotebookCell, language: string): string | undefined {
  const text = cell.document.getText().replaceAll('\r\n', '\n');
  if (cell.document.languageId === language) {
    return text;
  }
  const comment = COMMENTS[language];
  if (cell.kind !== vscode.NotebookCellKind.Markup || comment === undefined) {
    return undefined;
  }
  return text.replace(/^/gm, comment);
}

/** The notebook's own place, with a query, so that it is no document that an editor has open. */
function joinedUri(notebook: vscode.NotebookDocument, language: string): string {
  return notebook.uri.with({ query: `cells=${language}` }).toString(true);
}

function moved(range: vscode.Range, lines: number): vscode.Range {
  return new vscode.Range(range.start.translate(lines), range.end.translate(lines));
}

function below(
  info: vscode.SelectedCompletionInfo | undefined,
  lines: number,
): vscode.SelectedCompletionInfo | undefined {
  return info && { range: moved(info.range, lines), text: info.text };
}
