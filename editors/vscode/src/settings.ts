/**
 * The section `umbrella` of VS Code's settings: read it here, and nowhere else.
 *
 * Also says which of it the language server is told. A setting that nobody has touched is not
 * sent, so that the user's own `config.toml` stays in force where VS Code says nothing.
 */
import * as vscode from 'vscode';

export const SECTION = 'umbrella';

export type Trigger = 'auto' | 'manual';

/** What the server takes: the keys of its settings file. */
export type ServerSettings = Record<string, unknown>;

export interface Settings {
  readonly paused: boolean;
  readonly enable: Readonly<Record<string, boolean>>;
  readonly trigger: Trigger;
  readonly exclude: readonly string[];
  readonly logLevel: string;
  readonly serverPath: string;
  readonly serverArgs: readonly string[];
}

export function readSettings(): Settings {
  const section = vscode.workspace.getConfiguration(SECTION);
  return {
    paused: section.get('paused', false),
    enable: section.get('enable', {}),
    trigger: section.get<Trigger>('trigger', 'auto'),
    exclude: section.get('exclude', []),
    logLevel: section.get('logLevel', 'info'),
    serverPath: section.get('server.path', ''),
    serverArgs: section.get('server.args', []),
  };
}

/** Whether a language is switched on: its own entry counts, else that of `*`. */
export function isEnabled(settings: Settings, language: string): boolean {
  return settings.enable[language] ?? settings.enable['*'] ?? true;
}

/** The settings as the language server wants them. */
export function serverSettings(): ServerSettings {
  const section = vscode.workspace.getConfiguration(SECTION);
  const result = copy(section.get<ServerSettings>('settings', {}));
  const model = chosen(section, 'model');
  if (model !== undefined) {
    result['pair'] = model;
  }
  const typing = chosen(section, 'recordTyping');
  if (typing !== undefined) {
    result['recording'] = { ...(result['recording'] as object | undefined), typing };
  }
  const completion: ServerSettings = {};
  for (const [key, name] of COMPLETION) {
    const value = chosen(section, key);
    if (value !== undefined) {
      completion[name] = value;
    }
  }
  if (section.get<boolean>('paused')) {
    completion['enabled'] = false; // then no model is loaded for this window
  }
  if (Object.keys(completion).length > 0) {
    result['completion'] = { ...(result['completion'] as object | undefined), ...completion };
  }
  return result;
}

/** Change a setting where it is set now: in the workspace if it is there, else for the user. */
export async function writeSetting(key: string, value: unknown): Promise<void> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const inWorkspace = section.inspect(key)?.workspaceValue !== undefined;
  const target = inWorkspace
    ? vscode.ConfigurationTarget.Workspace
    : vscode.ConfigurationTarget.Global;
  await section.update(key, value, target);
}

const COMPLETION = [
  ['maxTokens', 'max_tokens'],
  ['maxLines', 'max_lines'],
] as const;

/** What somebody has set, not the default. */
function chosen(section: vscode.WorkspaceConfiguration, key: string): unknown {
  const found = section.inspect(key);
  return found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue;
}

function copy(values: ServerSettings): ServerSettings {
  return JSON.parse(JSON.stringify(values)) as ServerSettings;
}
