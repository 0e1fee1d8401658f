import colors from 'picocolors';
import type { InvoiceView } from '../../contracts/invoice.js';
import type { PeriodView } from '../../contracts/period.js';

const BAR_CHARS = 30;
/** Where the output is no terminal, progress is a line now and then instead of a picture that is drawn again. */
const PLAIN_PROGRESS_MILLISECONDS = 3_000;

export interface Progress {
  sent: number;
  priced: number;
  expected: number;
  views: PeriodView[];
}

export interface Screen {
  title(text: string): void;
  line(text: string): void;
  progress(state: Progress): void;
  proof(holds: boolean, text: string): void;
}

/** Shortens an exact amount for the eye: money is compared by the demo exactly, and shown with six places. */
export function shortAmount(amount: string): string {
  const [whole, fraction = ''] = amount.split('.');
  return `${whole}.${fraction.slice(0, 6).padEnd(6, '0')}`;
}

function bar(done: number, of: number): string {
  const filled = of === 0 ? 0 : Math.floor((done * BAR_CHARS) / of);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_CHARS - filled)}`;
}

function pictureOf({ sent, priced, expected, views }: Progress): string[] {
  return [
    `  sent   ${bar(sent, expected)} ${sent} of ${expected}`,
    `  priced ${bar(priced, expected)} ${priced}`,
    ...views.map(({ customer_id, totals }) => {
      const events = String(totals?.events ?? 0).padStart(6);
      const cost = shortAmount(totals?.cost ?? '0').padStart(12);
      const charge = shortAmount(totals?.charge ?? '0').padStart(12);
      return `  ${customer_id.padEnd(8)} ${events} events   cost ${cost}   charge ${charge} ${totals?.currency ?? 'usd'}`;
    }),
  ];
}

/** A screen on a terminal (progress drawn in place) or in a log (a line every few seconds). */
export function createScreen(stream: NodeJS.WriteStream): Screen {
  let drawn = 0;
  let lastPlain = 0;
  const write = (text: string) => void stream.write(`${text}\n`);
  const clear = () => {
    if (drawn > 0) stream.write(`\u001b[${drawn}A\u001b[0J`);
    drawn = 0;
  };
  const keep = (text: string) => {
    clear();
    write(text);
  };
  return {
    title: (text) => keep(`\n${colors.bold(text)}`),
    line: (text) => keep(`  ${text}`),
    proof: (holds, text) => keep(`  ${holds ? colors.green('✔') : colors.red('✘')} ${text}`),
    progress(state) {
      if (stream.isTTY) {
        clear();
        const picture = pictureOf(state);
        for (const line of picture) write(line);
        drawn = state.priced === state.expected ? 0 : picture.length;
        return;
      }
      const finished = state.priced === state.expected;
      if (!finished && Date.now() - lastPlain < PLAIN_PROGRESS_MILLISECONDS) return;
      lastPlain = Date.now();
      for (const line of finished
        ? pictureOf(state)
        : [`  sent ${state.sent}, priced ${state.priced} of ${state.expected}`])
        write(line);
    },
  };
}

/** An invoice as a person reads it. */
export function showInvoice(screen: Screen, customerId: string, invoice: InvoiceView): void {
  screen.title(
    `Invoice ${invoice.stripe_number ?? ''} for ${customerId}, ${invoice.period.start} to ${invoice.period.end}`,
  );
  const width = Math.min(72, Math.max(...invoice.lines.map((line) => line.description.length), 10));
  for (const line of invoice.lines) {
    const text =
      line.description.length > width ? `${line.description.slice(0, width - 1)}…` : line.description.padEnd(width);
    screen.line(`${text} ${line.amount.padStart(10)}`);
  }
  screen.line(`${'total'.padEnd(width)} ${invoice.total.padStart(10)} ${invoice.currency}`);
  screen.line(
    `cost ${shortAmount(invoice.cost)} ${invoice.cost_currency}, content hash ${invoice.content_hash.slice(0, 16)}…`,
  );
}
