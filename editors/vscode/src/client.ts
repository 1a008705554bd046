/**
 * The language server of this window: started, restarted, told the settings, and asked.
 *
 * A server that dies is started again, up to four times in three minutes.
 */
import * as vscode from 'vscode';
import {
  CloseAction,
  DidChangeConfigurationNotification,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  type CloseHandlerResult,
  type ErrorHandler,
  type LanguageClientOptions,
  type Middleware,
} from 'vscode-languageclient/node';
import { offerInstallation } from './install';
import { startProcess } from './process';
import { findServer } from './server';
import { SCHEMES } from './gate';
import { readSettings, SECTION, serverSettings } from './settings';
import { MISSING, STARTING, STOPPED, type ServerState, type State } from './state';

const MAX_RESTARTS = 4;
const RESTARTS_WITHIN_MS = 3 * 60_000;

export class Server implements vscode.Disposable {
  private client: LanguageClient | undefined;
  private changing: Promise<void> = Promise.resolve();
  /** Path of the executable that runs. */
  executable: string | undefined;

  constructor(
    private readonly state: State,
    private readonly log: vscode.LogOutputChannel,
    private readonly middleware: Middleware,
  ) {}

  /** The connection, where there is one that answers. */
  get connection(): LanguageClient | undefined {
    return this.client?.isRunning() ? this.client : undefined;
  }

  /** Find the server and start it; a start or stop that is under way is waited for. */
  start(): Promise<void> {
    return this.inTurn(() => this.begin());
  }

  /** Stop the server and start it with the settings as they are now. */
  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.end();
      await this.begin();
    });
  }

  stop(): Promise<void> {
    return this.inTurn(() => this.end());
  }

  /** Tell the server the settings as they are now. */
  async configure(): Promise<void> {
    await this.connection?.sendNotification(DidChangeConfigurationNotification.type, {
      settings: { [SECTION]: serverSettings() },
    });
  }

  dispose(): void {
    void this.stop();
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.changing = this.changing.then(work, work);
    return this.changing;
  }

  private async begin(): Promise<void> {
    this.state.server = STARTING;
    const executable = await findServer();
    this.executable = executable;
    if (!executable) {
      void this.complain();
      return;
    }
    const { serverArgs, logLevel } = readSettings();
    const args = [...serverArgs, '--log-level', logLevel];
    const run = () => {
      this.log.info(`starting ${executable} ${args.join(' ')}`);
      return startProcess(executable, args, this.log);
    };
    const client = new LanguageClient(SECTION, 'Umbrella', run, this.options());
    client.onNotification('umbrella/status', (state: ServerState) => {
      this.state.server = state;
    });
    this.client = client;
    try {
      await client.start();
    } catch (error) {
      const message = `The server could not be started: ${String(error)}`;
      this.state.server = { phase: 'failed', message };
      this.log.error(message);
    }
  }

  private async end(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.state.server = STOPPED;
    if (client?.needsStop()) {
      await client.stop();
    }
    await client?.dispose();
  }

  private async complain(): Promise<void> {
    const { serverPath } = readSettings();
    const message = serverPath
      ? `umbrella.server.path is “${serverPath}”, which is no program that can be run.`
      : 'The Umbrella language server is not installed.';
    this.state.server = { ...MISSING, message };
    this.log.warn(message);
    if (await offerInstallation(message)) {
      await this.restart();
    }
  }

  private options(): LanguageClientOptions {
    return {
      // cells of notebooks are asked for together, by `Notebooks`
      documentSelector: SCHEMES.filter((scheme) => scheme !== 'vscode-notebook-cell').map(
        (scheme) => ({ scheme }),
      ),
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      middleware: {
        ...this.middleware,
        // the only way by which settings come: what is unset later must not linger
        workspace: {
          configuration: (params) => params.items.map(() => serverSettings()),
          didChangeConfiguration: () => this.configure(),
        },
      },
      errorHandler: new Restarts(this.state),
    };
  }
}

/** Starts a server again that has died, quietly, unless it keeps dying. */
class Restarts implements ErrorHandler {
  private times: number[] = [];

  constructor(private readonly state: State) {}

  error() {
    return { action: ErrorAction.Continue, handled: true };
  }

  closed(): CloseHandlerResult {
    const now = Date.now();
    this.times = [...this.times.filter((time) => now - time < RESTARTS_WITHIN_MS), now];
    if (this.times.length <= MAX_RESTARTS) {
      this.state.server = STARTING;
      return { action: CloseAction.Restart, handled: true };
    }
    const message = `The server ended ${String(this.times.length)} times in three minutes and is not started again; its log says why.`;
    this.state.server = { ...STOPPED, message };
    return { action: CloseAction.DoNotRestart, message };
  }
}
