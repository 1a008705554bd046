/**
 * The server as a process: its pipes go to the client, its log lines to the output channel, each
 * at its own level.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type * as vscode from 'vscode';
import type { StreamInfo } from 'vscode-languageclient/node';

/** A line of the server's log: date, time, level, the rest. */
const LINE = /^[\d-]+ [\d:,]+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)$/;

/** Start it; rejects where it cannot be started. */
export function startProcess(
  command: string,
  args: readonly string[],
  log: vscode.LogOutputChannel,
): Promise<StreamInfo> {
  const child = spawn(command, args, { stdio: 'pipe' });
  let level = 'INFO'; // lines without one belong to the line before
  createInterface({ input: child.stderr }).on('line', (line) => {
    const [, found, text] = LINE.exec(line) ?? [];
    level = found ?? level;
    write(log, level, text ?? line);
  });
  child.on('exit', (code, signal) => {
    log.info(`the server has ended, ${signal ?? `status ${String(code)}`}`);
  });
  child.stdin.on('error', (error) => {
    log.debug(`the server reads no more: ${error.message}`);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('spawn', () => {
      resolve({ reader: child.stdout, writer: child.stdin });
    });
  });
}

function write(log: vscode.LogOutputChannel, level: string, text: string): void {
  switch (level) {
    case 'DEBUG':
      log.debug(text);
      break;
    case 'INFO':
      log.info(text);
      break;
    case 'WARNING':
      log.warn(text);
      break;
    default:
      log.error(text);
  }
}
