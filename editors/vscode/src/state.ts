/** What the extension knows of its server, and why nothing is shown; others are told of changes. */
import * as vscode from 'vscode';
import type { Silence } from './gate';

/** Where the server is: its own phases, and those in which there is none. */
export interface ServerState {
  readonly phase: string;
  readonly message: string;
  readonly percent?: number | null;
  readonly reason?: string;
}

export const MISSING: ServerState = { phase: 'missing', message: 'No language server was found.' };
export const STARTING: ServerState = { phase: 'starting', message: 'The server is starting.' };
export const STOPPED: ServerState = { phase: 'stopped', message: 'The server has stopped.' };

export class State implements vscode.Disposable {
  private readonly emitter = new vscode.EventEmitter<void>();
  readonly onDidChange = this.emitter.event;
  private current: ServerState = STARTING;
  private why: Silence | undefined;
  private requests = 0;

  get server(): ServerState {
    return this.current;
  }

  set server(state: ServerState) {
    this.current = state;
    this.emitter.fire();
  }

  /** Why nothing was asked, of the latest request or of the document in front. */
  get silence(): Silence | undefined {
    return this.why;
  }

  set silence(silence: Silence | undefined) {
    if (silence?.label !== this.why?.label || silence?.detail !== this.why?.detail) {
      this.why = silence;
      this.emitter.fire();
    }
  }

  /** Whether an answer is awaited. */
  get busy(): boolean {
    return this.requests > 0;
  }

  /** Count a request until its promise is settled. */
  async during<T>(request: Promise<T>): Promise<T> {
    this.requests += 1;
    this.emitter.fire();
    try {
      return await request;
    } finally {
      this.requests -= 1;
      this.emitter.fire();
    }
  }

  dispose(): void {
    this.emitter.dispose();
  }
}
