import type { PlanRule } from '../contracts/plan-rule.js';
import { LINE_DESCRIPTION_CHARS } from '../limits.js';
import { type Fraction, format } from '../money/fraction.js';
import type { DraftLine } from './compose-lines.js';
import type { PlanPart } from './compose-parts.js';

export const SEPARATOR = ' · ';

/** What a usage line says of itself. */
export interface UsageWords {
  group: Record<string, string | null>;
  units: Map<string, Fraction>;
  events: number;
  kind: 'usage' | 'overage' | 'action_fee';
  /** Stands in place of the group's values. */
  label: string | null;
  /** Names the plan where the period had several, else null. */
  plan_label: string | null;
}

/** `claude-sonnet-4-5 · report · 1,234,567 tokens, 3 searches (12 calls)`; at most LINE_DESCRIPTION_CHARS long. */
export function usageDescription(words: UsageWords): string {
  const labels = Object.entries(words.group).map(([name, value]) => labelOf(name, value));
  const head = words.label ?? (labels.length === 0 ? 'Usage' : labels.join(SEPARATOR));
  // An event stands in the group of its first meter alone: between lines of different meters a count would mislead.
  const counts = words.label === null && !Object.hasOwn(words.group, 'meter');
  const overage = words.kind === 'overage' ? `${SEPARATOR}beyond the included usage` : '';
  const plan = words.plan_label === null ? '' : SEPARATOR + words.plan_label;
  return within(head, SEPARATOR + measures(words, counts) + overage + plan);
}

/** `Other usage · 1,234,567 tokens (12 calls)`: what did not fit into the lines of an invoice. */
export function foldedUsageDescription(folded: Pick<DraftLine, 'units' | 'events'>): string {
  return within('Other usage', SEPARATOR + measures(folded, true));
}

/** `Late usage of 2026-10-01 · 1,200 tokens (3 calls)`. */
export function lateDescription(late: Pick<DraftLine, 'units' | 'events'> & { start_date: string }): string {
  return within(`Late usage of ${late.start_date}`, SEPARATOR + measures(late, true));
}

/** The line of late usage beyond LATE_LINES_COUNT. */
export function foldedLateDescription(folded: Pick<DraftLine, 'units' | 'events'>): string {
  return within('Late usage of further periods', SEPARATOR + measures(folded, true));
}

/** How a rule's own lines are called: its name, else the values that it matches. */
export function ruleLabel(rule: PlanRule): string {
  if (rule.name !== undefined) return rule.name;
  const values = Object.entries(rule.match ?? {}).map(([attribute, value]) =>
    [value ?? []]
      .flat()
      .map((one) => labelOf(attribute, one))
      .join(', '),
  );
  return values.length === 0 ? 'Usage' : within(values.join(SEPARATOR), '');
}

/** `Pro version 2`. */
export function planLabel(part: PlanPart): string {
  return `${planName(part)} version ${part.version}`;
}

/** Thousands with commas, without Intl: its data differs between Node versions (invariant 2). */
export function groupDigits(decimal: string): string {
  const [whole, fraction] = decimal.split('.');
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** The plan's name, else its id. */
export function planName({ plan }: PlanPart): string {
  return plan.name ?? plan.plan_id;
}

function labelOf(attribute: string, value: string | null): string {
  if (value === null) return `no ${attribute.replace(/^dimensions\./, '').replaceAll('_', ' ')}`;
  return attribute === 'meter' ? value.replaceAll('_', ' ') : value;
}

function measures({ units, events }: Pick<UsageWords, 'units' | 'events'>, counts: boolean): string {
  const sorted = [...units].sort(([a], [b]) => (a < b ? -1 : 1));
  const quantities = sorted.map(([unit, quantity]) => counted(format(quantity), unit)).join(', ');
  if (quantities === '') return counted(`${events}`, 'events');
  // Tokens are what model calls use; anything else happened some number of times.
  const happened = units.has('tokens') ? 'calls' : 'events';
  return counts && events > 0 ? `${quantities} (${counted(`${events}`, happened)})` : quantities;
}

/** `1,200 reports`, `1 report`, `1.5 x 1M tokens`. */
export function counted(quantity: string, plural: string): string {
  if (/^\d/.test(plural)) return `${groupDigits(quantity)} x ${plural}`;
  return `${groupDigits(quantity)} ${quantity === '1' ? plural.replace(/(?<=ch)es$|s$/, '') : plural}`;
}

/** Head and tail within the limit of a description: names give way to quantities. */
export function within(head: string, tail: string): string {
  const room = LINE_DESCRIPTION_CHARS - tail.length;
  return cut(cut(head, Math.max(room, 1)) + tail, LINE_DESCRIPTION_CHARS);
}

/** At most `length` UTF-16 units; never ends in half of a surrogate pair, which would have no RFC 8785 form. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
