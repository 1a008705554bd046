/** The status-bar item: what Umbrella is doing, or why it shows nothing. */
import * as vscode from 'vscode';
import { PAUSED } from './gate';
import type { ServerState, State } from './state';

const SPINNER_AFTER_MS = 150; // answers that come sooner would only make it flicker
const IDLE = '$(sparkle)';
const SPINNER = '$(loading~spin)';
const OFF = '$(circle-slash)';

/** Reasons of the server that last, in a few words; the others pass with the next key. */
const LASTING: Readonly<Record<string, string>> = {
  disabled: 'off here',
  excluded: 'may hold secrets',
  'too-large': 'file too large',
  binary: 'not text',
  'no-document': 'no such file',
  'backend-down': 'backend down',
  'daemon-lost': 'reconnecting',
  error: 'error',
};

/** Phases in which there is no server to wait for. */
const BROKEN: Readonly<Record<string, string>> = {
  missing: 'not installed',
  stopped: 'stopped',
  failed: 'failed',
  'backend-down': 'backend down',
};

interface Look {
  readonly icon: string;
  readonly label?: string;
  readonly detail: string;
  readonly alarming?: boolean;
}

export class StatusItem implements vscode.Disposable {
  private readonly item: vscode.StatusBarItem;
  private readonly listener: vscode.Disposable;
  private timer: NodeJS.Timeout | undefined;
  private spinning = false;
  private drawn = '';

  constructor(private readonly state: State) {
    this.item = vscode.window.createStatusBarItem(
      'umbrella.status',
      vscode.StatusBarAlignment.Right,
      100,
    );
    this.item.name = 'Umbrella';
    this.item.command = 'umbrella.menu';
    this.listener = state.onDidChange(() => {
      this.follow();
    });
    this.draw();
    this.item.show();
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.listener.dispose();
    this.item.dispose();
  }

  private follow(): void {
    if (this.state.busy && this.timer === undefined) {
      this.timer = setTimeout(() => {
        this.spinning = true;
        this.draw();
      }, SPINNER_AFTER_MS);
    } else if (!this.state.busy) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.spinning = false;
    }
    this.draw();
  }

  private draw(): void {
    const look = lookOf(this.state, this.spinning);
    const drawn = JSON.stringify(look);
    if (drawn === this.drawn) {
      return; // each change is a message to the window
    }
    this.drawn = drawn;
    this.item.text = `${look.icon} Umbrella${look.label ? `: ${look.label}` : ''}`;
    const tooltip = new vscode.MarkdownString(undefined, true);
    tooltip.appendMarkdown('**Umbrella** — ').appendText(look.detail);
    this.item.tooltip = tooltip;
    this.item.accessibilityInformation = { label: `Umbrella: ${look.detail}` };
    this.item.backgroundColor = look.alarming
      ? new vscode.ThemeColor('statusBarItem.warningBackground')
      : undefined;
  }
}

/** What the item shows; the first that applies. */
export function lookOf(state: State, spinning: boolean): Look {
  const { phase, message } = state.server;
  const broken = BROKEN[phase];
  if (broken) {
    return { icon: '$(warning)', label: broken, detail: message, alarming: true };
  }
  const resting = phase === 'ready' || phase === PAUSED;
  if (!resting && state.silence?.label !== PAUSED) {
    return loading(state.server);
  }
  if (phase === PAUSED && !state.silence) {
    return { icon: OFF, label: PAUSED, detail: message };
  }
  if (state.silence) {
    return { icon: OFF, ...state.silence };
  }
  return spinning ? { icon: SPINNER, detail: 'Waiting for a suggestion.' } : idle(state.server);
}

function loading({ phase, message, percent }: ServerState): Look {
  const label = percent == null ? phase : `${phase} ${String(percent)} %`;
  return { icon: SPINNER, label, detail: message || `The server is ${phase}.` };
}

function idle({ message, reason }: ServerState): Look {
  const label = reason ? LASTING[reason] : undefined;
  if (label) {
    return { icon: OFF, label, detail: message };
  }
  return { icon: IDLE, detail: reason ? message || reason : 'Ready.' };
}
