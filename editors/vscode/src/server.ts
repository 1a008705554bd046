/**
 * Where the language server is: the setting, the workspace's virtual environment, PATH, then the
 * place where `uv tool` and `pipx` put commands. Nothing is started here.
 */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { readSettings } from './settings';

const WINDOWS = process.platform === 'win32';
const SUFFIXES = WINDOWS ? ['.exe', '.cmd', '.bat'] : [''];
export const SERVER = 'umbrella-lsp';

/** Path of the server's executable; undefined where there is none. */
export async function findServer(): Promise<string | undefined> {
  const named = readSettings().serverPath;
  if (named) {
    return executable(expand(named));
  }
  for (const folder of [...environments(), ...searchPath()]) {
    const found = await findIn(folder, SERVER);
    if (found) {
      return found;
    }
  }
  return undefined;
}

/** Path of a command that is installed beside the server, or anywhere on PATH. */
export async function findCommand(name: string, beside?: string): Promise<string | undefined> {
  const folders = beside ? [path.dirname(beside), ...searchPath()] : searchPath();
  for (const folder of folders) {
    const found = await findIn(folder, name);
    if (found) {
      return found;
    }
  }
  return undefined;
}

/** Virtual environments of the workspace; none of them is run before the user trusts it. */
function environments(): string[] {
  if (!vscode.workspace.isTrusted) {
    return [];
  }
  const bin = WINDOWS ? 'Scripts' : 'bin';
  return (vscode.workspace.workspaceFolders ?? [])
    .filter((folder) => folder.uri.scheme === 'file')
    .flatMap((folder) => ['.venv', 'venv'].map((name) => path.join(folder.uri.fsPath, name, bin)));
}

function searchPath(): string[] {
  const listed = (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder));
  return [...listed, path.join(homedir(), '.local', 'bin')];
}

async function findIn(folder: string, name: string): Promise<string | undefined> {
  for (const suffix of SUFFIXES) {
    const found = await executable(path.join(folder, name + suffix));
    if (found) {
      return found;
    }
  }
  return undefined;
}

async function executable(file: string): Promise<string | undefined> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}

function expand(file: string): string {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '';
  return file
    .replace(/^~(?=[\\/])/, homedir())
    .replaceAll('${userHome}', homedir())
    .replaceAll('${workspaceFolder}', folder);
}
