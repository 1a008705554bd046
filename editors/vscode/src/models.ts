/** “Select model”: the pairs that the server knows, as `umbrella models` lists them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import type { Server } from './client';
import { findCommand } from './server';
import { SECTION, writeSetting } from './settings';

const run = promisify(execFile);

interface Pair {
  readonly name: string;
  readonly summary: string;
  readonly download_mb: number;
  readonly memory_mb: number;
  readonly fetched: boolean;
  readonly chosen: boolean;
}

interface Choice extends vscode.QuickPickItem {
  readonly model: string;
}

/** Let the user choose, then load the choice: the daemon is shared, so all windows get it. */
export async function selectModel(server: Server): Promise<void> {
  const command = await findCommand('umbrella', server.executable);
  if (!command) {
    void vscode.window.showErrorMessage(
      'Umbrella: the command “umbrella” is neither beside umbrella-lsp nor on the PATH.',
    );
    return;
  }
  const choice = await vscode.window.showQuickPick(choices(command), {
    title: 'Umbrella: which model completes your code?',
    placeHolder: 'Weights that are not here yet are downloaded once',
    matchOnDetail: true,
  });
  if (!choice) {
    return;
  }
  await writeSetting('model', choice.model);
  await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: 'Umbrella: changing the model' },
    async () => {
      await server.stop();
      await run(command, ['stop']);
      await server.start();
    },
  );
}

async function choices(command: string): Promise<Choice[]> {
  const { stdout } = await run(command, ['models', 'list', '--json']);
  const { pairs } = JSON.parse(stdout) as { pairs: Pair[] };
  const now = vscode.workspace.getConfiguration(SECTION).get('model', 'auto');
  const auto = {
    model: 'auto',
    label: 'auto',
    detail: 'The largest that suits the device and its free memory',
  };
  const all: Choice[] = [auto, ...pairs.map(choice)];
  return all.map((one) => (one.model === now ? { ...one, label: `$(check) ${one.label}` } : one));
}

function choice(pair: Pair): Choice {
  const download = pair.fetched ? 'here' : `${pair.download_mb.toLocaleString()} MB to download`;
  return {
    model: pair.name,
    label: pair.name,
    description: `${download}, needs ${pair.memory_mb.toLocaleString()} MB`,
    detail: pair.summary,
  };
}
