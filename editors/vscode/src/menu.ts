/** What a click on the status-bar item offers. */
import * as vscode from 'vscode';
import { isEnabled, readSettings } from './settings';
import { lookOf } from './status';
import type { State } from './state';

interface Entry extends vscode.QuickPickItem {
  readonly command?: string;
  readonly arguments?: readonly unknown[];
}

/** Show the menu and run what is picked. */
export async function showMenu(state: State): Promise<void> {
  const picked = await vscode.window.showQuickPick(entries(state), {
    title: `Umbrella — ${lookOf(state, false).detail}`,
    placeHolder: 'What should Umbrella do?',
  });
  if (picked?.command) {
    await vscode.commands.executeCommand(picked.command, ...(picked.arguments ?? []));
  }
}

function entries(state: State): Entry[] {
  const settings = readSettings();
  const language = vscode.window.activeTextEditor?.document.languageId;
  const manual = settings.trigger === 'manual';
  const separator = { label: '', kind: vscode.QuickPickItemKind.Separator };
  const list: Entry[] = [
    settings.paused
      ? { label: '$(play) Resume suggestions', command: 'umbrella.toggle' }
      : { label: '$(debug-pause) Pause suggestions', command: 'umbrella.toggle' },
  ];
  if (language) {
    const on = isEnabled(settings, language);
    list.push({
      label: `${on ? '$(circle-slash)' : '$(check)'} Switch ${language} ${on ? 'off' : 'on'}`,
      command: 'umbrella.toggleLanguage',
    });
  }
  list.push(
    {
      label: manual ? '$(zap) Suggest while typing' : '$(zap) Suggest only when asked',
      command: 'umbrella.toggleTrigger',
    },
    separator,
    { label: '$(package) Select model…', command: 'umbrella.selectModel' },
    { label: '$(graph) Show statistics', command: 'umbrella.showStatistics' },
    { label: '$(output) Show log', command: 'umbrella.showLog' },
    { label: '$(refresh) Restart server', command: 'umbrella.restart' },
    separator,
    {
      label: '$(gear) Settings',
      command: 'workbench.action.openSettings',
      arguments: ['@ext:umbrella.umbrella-lsp'],
    },
    { label: '$(book) Walkthrough', command: 'umbrella.walkthrough' },
  );
  return state.server.phase === 'missing'
    ? [{ label: '$(cloud-download) Install the server…', command: 'umbrella.restart' }, ...list]
    : list;
}
