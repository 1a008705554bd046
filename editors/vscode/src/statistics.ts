/** The page “Umbrella statistics”: what this window asked for and what the daemon did. */
import * as vscode from 'vscode';
import type { Server } from './client';

const SCHEME = 'umbrella';
const PAGE = vscode.Uri.from({ scheme: SCHEME, path: 'Umbrella statistics' });
const TRACES = 20;

/** What `umbrella/status` answers, as far as it is shown. */
interface Account {
  readonly phase: string;
  readonly message: string;
  readonly reasons: Readonly<Record<string, number>>;
  readonly daemon: Daemon | null;
  readonly [count: string]: unknown;
}

interface Daemon {
  readonly pair: string;
  readonly device: string;
  readonly dtype: string;
  readonly rss_bytes: number;
  readonly uptime_seconds: number;
  readonly requests: number;
  readonly shown: number;
  readonly traces: readonly Trace[];
}

interface Trace {
  readonly document: string;
  readonly prompt_tokens: number;
  readonly reused_tokens: number;
  readonly drafted_tokens: number;
  readonly accepted_tokens: number;
  readonly generated_tokens: number;
  readonly ms: Readonly<Record<string, number>>;
}

export class Statistics implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly emitter = new vscode.EventEmitter<vscode.Uri>();
  private readonly registration: vscode.Disposable;
  readonly onDidChange = this.emitter.event;

  constructor(private readonly server: Server) {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  }

  dispose(): void {
    this.registration.dispose();
    this.emitter.dispose();
  }

  /** Open the page, or bring it up to date. */
  async show(): Promise<void> {
    this.emitter.fire(PAGE);
    await vscode.window.showTextDocument(PAGE, { preview: true });
  }

  async provideTextDocumentContent(): Promise<string> {
    const client = this.server.connection;
    if (!client) {
      return 'The language server is not running; see “Umbrella: Show log”.\n';
    }
    return page(await client.sendRequest<Account>('umbrella/status', { traces: TRACES }));
  }
}

function page(account: Account): string {
  const reasons = Object.entries(account.reasons).sort(([, a], [, b]) => b - a);
  const lines = [
    `This window: ${account.phase}${account.message ? `, ${account.message}` : ''}`,
    ...counts(account),
    ...reasons.map(([reason, count]) => row(`silent: ${reason}`, count)),
  ];
  return [...lines, '', ...daemonLines(account.daemon), ''].join('\n');
}

/** Whatever the server counts: requests, shown, accepted and so on. */
function counts(account: Account): string[] {
  return Object.entries(account)
    .filter(([name, value]) => typeof value === 'number' && name !== 'percent')
    .map(([name, value]) => row(name.replaceAll('_', ' '), Number(value)));
}

function daemonLines(daemon: Daemon | null): string[] {
  if (!daemon) {
    return ['No daemon is running.'];
  }
  const lines = [
    `Daemon: ${daemon.pair}`,
    row('device', `${daemon.device}, ${daemon.dtype}`),
    row('memory', `${(daemon.rss_bytes / 1e6).toFixed(0)} MB`),
    row('up', `${(daemon.uptime_seconds / 60).toFixed(0)} min`),
    row('requests', daemon.requests),
    row('shown', daemon.shown),
  ];
  if (daemon.traces.length > 0) {
    const head = ['document', 'prompt', 'reused', 'drafted', 'accepted', 'written', 'ms'];
    lines.push('', 'Latest requests (tokens)', columns(head), ...daemon.traces.map(traceLine));
  }
  return lines;
}

function traceLine(trace: Trace): string {
  return columns([
    trace.document.split('/').at(-1) ?? '',
    String(trace.prompt_tokens),
    String(trace.reused_tokens),
    String(trace.drafted_tokens),
    String(trace.accepted_tokens),
    String(trace.generated_tokens),
    (trace.ms['total'] ?? 0).toFixed(1),
  ]);
}

function columns([name = '', ...numbers]: string[]): string {
  return `  ${name.slice(0, 24).padEnd(24)}${numbers.map((text) => text.padStart(10)).join('')}`;
}

function row(name: string, value: string | number): string {
  return `  ${name.padEnd(24)}${String(value)}`;
}
