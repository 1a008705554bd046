/** The commands of the extension, each under the name that `package.json` gives it. */
import * as vscode from 'vscode';
import type { Acceptance } from './acceptance';
import type { Server } from './client';
import { showMenu } from './menu';
import { selectModel } from './models';
import { isEnabled, readSettings, writeSetting } from './settings';
import type { State } from './state';
import type { Statistics } from './statistics';

export interface Parts {
  readonly state: State;
  readonly server: Server;
  readonly acceptance: Acceptance;
  readonly statistics: Statistics;
  readonly log: vscode.LogOutputChannel;
}

/** Register all of them. */
export function registerCommands(parts: Parts): vscode.Disposable {
  const suggest = 'editor.action.inlineSuggest';
  const commands: Record<string, () => unknown> = {
    toggle: () => writeSetting('paused', !readSettings().paused),
    toggleLanguage,
    toggleTrigger: () =>
      writeSetting('trigger', readSettings().trigger === 'auto' ? 'manual' : 'auto'),
    trigger: () => vscode.commands.executeCommand(`${suggest}.trigger`),
    acceptWord: () => parts.acceptance.accept(`${suggest}.acceptNextWord`),
    acceptLine: () => parts.acceptance.accept(`${suggest}.acceptNextLine`),
    restart: () => parts.server.restart(),
    showLog: () => {
      parts.log.show();
    },
    showStatistics: () => parts.statistics.show(),
    selectModel: () => selectModel(parts.server),
    menu: () => showMenu(parts.state),
    walkthrough: () =>
      vscode.commands.executeCommand(
        'workbench.action.openWalkthrough',
        'umbrella.umbrella-lsp#umbrella.start',
      ),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([name, run]) =>
      vscode.commands.registerCommand(`umbrella.${name}`, run),
    ),
  );
}

async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (!language) {
    void vscode.window.showInformationMessage('Umbrella: open a file first.');
    return;
  }
  const settings = readSettings();
  const enable = { ...settings.enable, [language]: !isEnabled(settings, language) };
  await writeSetting('enable', enable);
}
