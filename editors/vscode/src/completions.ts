/** One request for suggestions, from the question whether to ask to the note of what was shown. */
import * as vscode from 'vscode';
import type { Acceptance } from './acceptance';
import { requestSilence } from './gate';
import { readSettings } from './settings';
import type { State } from './state';

type Result = vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined;
export type Ask = () => vscode.ProviderResult<Result>;

export class Completions {
  constructor(
    private readonly state: State,
    private readonly acceptance: Acceptance,
  ) {}

  /** Ask, unless there is a reason not to; `ask` gives items in the document's own places. */
  async provide(
    document: vscode.TextDocument,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
    ask: Ask,
  ): Promise<Result> {
    this.state.silence = requestSilence(document, context, readSettings());
    if (this.state.silence) {
      return undefined;
    }
    const version = document.version;
    const result = await this.state.during(Promise.resolve(ask()));
    if (token.isCancellationRequested || document.version !== version) {
      return undefined;
    }
    const items = Array.isArray(result) ? result : result?.items;
    if (items?.[0]) {
      this.acceptance.shown(document, items[0]);
    }
    return result;
  }
}
