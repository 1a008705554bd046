/** Warns, once, when another extension suggests code too: VS Code then shows either, at random. */
import * as vscode from 'vscode';

const ANSWERED = 'otherProvidersAnswered';
const SHOW = 'Show the extension';
const NEVER = 'Do not warn again';

/** Extensions with suggestions of their own, in lower case. */
const OTHERS: readonly string[] = [
  'amazonwebservices.amazon-q-vscode',
  'augment.vscode-augment',
  'codeium.codeium',
  'continue.continue',
  'ggml-org.llama-vscode',
  'github.copilot',
  'google.geminicodeassist',
  'huggingface.huggingface-vscode',
  'jetbrains.junie',
  'rjmacarthy.twinny',
  'sourcegraph.cody-ai',
  'supermaven.supermaven',
  'tabbyml.vscode-tabby',
  'tabnine.tabnine-vscode',
];

/** Look now and whenever extensions come. */
export function watchOtherProviders(memory: vscode.Memento): vscode.Disposable {
  void warn(memory);
  return vscode.extensions.onDidChange(() => void warn(memory));
}

async function warn(memory: vscode.Memento): Promise<void> {
  const answered = memory.get<string[]>(ANSWERED, []);
  const other = OTHERS.map((id) => vscode.extensions.getExtension(id)).find(
    (found) => found && !answered.includes(found.id.toLowerCase()) && suggests(found.id),
  );
  if (!other) {
    return;
  }
  await memory.update(ANSWERED, [...answered, other.id.toLowerCase()]); // at most once a provider
  const name = (other.packageJSON as { displayName?: string }).displayName ?? other.id;
  const answer = await vscode.window.showWarningMessage(
    `${name} suggests code in the same places as Umbrella. Suggestions of both get mixed up; switch one of them off.`,
    SHOW,
    NEVER,
  );
  if (answer === SHOW) {
    await vscode.commands.executeCommand('extension.open', other.id);
    await memory.update(ANSWERED, answered); // it may be left on: ask again next time
  }
}

/** Whether it is switched on, as far as its settings tell. */
function suggests(id: string): boolean {
  if (id.toLowerCase() !== 'github.copilot') {
    return true;
  }
  const enable = vscode.workspace.getConfiguration('github.copilot').get<object>('enable', {});
  return Object.values(enable).some((value) => value === true);
}
