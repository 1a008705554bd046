/** What to do when no language server is found: offer to install it, in a terminal, after asking. */
import * as vscode from 'vscode';
import { findCommand } from './server';

const PACKAGE = 'umbrella-lsp';
const INSTALLERS = [
  { command: 'uv', args: ['tool', 'install', PACKAGE] },
  { command: 'pipx', args: ['install', PACKAGE] },
] as const;
const SET_PATH = 'Set its path';
const HOW_TO = 'How to install';

/** Ask, install, and tell whether there is something to start now. */
export async function offerInstallation(reason: string): Promise<boolean> {
  const found: { label: string; command: string; args: readonly string[] }[] = [];
  for (const { command, args } of INSTALLERS) {
    const file = await findCommand(command);
    if (file) {
      found.push({ label: `Run “${command} ${args.join(' ')}”`, command: file, args });
    }
  }
  const labels = found.map(({ label }) => label);
  const others = found.length > 0 ? [SET_PATH] : [HOW_TO, SET_PATH];
  const answer = await vscode.window.showWarningMessage(
    `${reason} It completes your code with a model on this machine.`,
    ...labels,
    ...others,
  );
  if (answer === SET_PATH) {
    await vscode.commands.executeCommand('workbench.action.openSettings', 'umbrella.server.path');
  } else if (answer === HOW_TO) {
    await vscode.commands.executeCommand('umbrella.walkthrough');
  }
  const installer = found.find(({ label }) => label === answer);
  return installer !== undefined && run(installer.command, installer.args);
}

/** Run a command in a terminal that the user sees; tell whether it succeeded. */
async function run(command: string, args: readonly string[]): Promise<boolean> {
  const task = new vscode.Task(
    { type: 'umbrella' },
    vscode.TaskScope.Workspace,
    `install ${PACKAGE}`,
    'Umbrella',
    new vscode.ProcessExecution(command, [...args]),
  );
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always };
  const ended = new Promise<number | undefined>((resolve) => {
    const listener = vscode.tasks.onDidEndTaskProcess((event) => {
      if (event.execution.task.name === task.name) {
        listener.dispose();
        resolve(event.exitCode);
      }
    });
  });
  await vscode.tasks.executeTask(task);
  return (await ended) === 0;
}
