import type { CatalogVersionBody, MultiplierRow, PriceRow } from '../contracts/catalog.js';
import { CostplusError } from '../errors/error.js';
import { type CatalogData, extendCatalog, instantMs } from './catalog-data.js';
import { winnersAt } from './in-force.js';
import { clausePatterns, patternFault } from './match-clause.js';
import { ModelPrices, slotKey } from './model-prices.js';
import { multiplierSlot, type TimedMultiplier, timedMultiplier } from './multipliers.js';

/**
 * Refuses a body that must not become the version after `before`: `invalid_catalog` for what can mean nothing or
 * something that nobody meant, `buries_prices` for a row that would hide a later-effective one of an older version
 * without saying so. `before` needs to hold what is there of the models that the body names, no more.
 */
export function checkCatalogVersion(before: CatalogData, body: CatalogVersionBody): void {
  checkRows(body);
  checkNames(before, body);
  const oldRows = byModel(before.prices);
  const fresh = extendCatalog({ ...before, prices: [], multipliers: [] }, body, before.version + 1);
  checkMultipliers(body, before.multipliers, fresh.multipliers);
  const newRows = byModel(fresh.prices);
  for (const [model, rows] of newRows) {
    const old = oldRows.get(model) ?? [];
    checkBuried(body, old, rows);
    checkConsistent(new ModelPrices([...old, ...rows]), rows[0]!);
  }
}

function byModel(rows: PriceRow[]): Map<string, PriceRow[]> {
  const models = new Map<string, PriceRow[]>();
  for (const row of rows) {
    const key = `${row.provider}\n${row.model_id}`;
    const known = models.get(key);
    if (known) known.push(row);
    else models.set(key, [row]);
  }
  return models;
}

function refuse(detail: string, field: string): never {
  throw new CostplusError('invalid_catalog', detail, { field });
}

function checkRows(body: CatalogVersionBody): void {
  const slots = new Map<string, number>();
  for (const [index, row] of body.prices.entries()) {
    const field = `prices[${index}]`;
    const isZero = typeof row.price === 'string' && /^[0.]+$/.test(row.price);
    if (isZero && !row.free) refuse('A price of zero is only taken with free: true.', `${field}.price`);
    if (row.free && !isZero) refuse('A row that is free has the price "0".', `${field}.free`);
    if (row.same_as === row.meter) refuse('A meter cannot stand in for itself.', `${field}.same_as`);
    if (row.effective_to !== undefined && instantMs(row.effective_to) <= instantMs(row.effective_from)) {
      refuse('effective_to must be after effective_from.', `${field}.effective_to`);
    }
    if (row.daily_window && row.daily_window.from === row.daily_window.to) {
      refuse('A daily window that ends when it begins holds at no time.', `${field}.daily_window`);
    }
    const slot = `${row.provider}\n${row.model_id}\n${slotKey(row)}\n${instantMs(row.effective_from)}`;
    const other = slots.get(slot);
    if (other !== undefined) refuse(`The row has the slot and the effective_from of prices[${other}].`, field);
    slots.set(slot, index);
  }
}

function checkNames(before: CatalogData, body: CatalogVersionBody): void {
  const known = new Set<string>();
  for (const { provider, model_id } of [...before.prices, ...before.models, ...body.prices, ...body.models]) {
    known.add(`${provider}\n${model_id}`);
  }
  for (const [index, rule] of body.match_rules.entries()) {
    const field = `match_rules[${index}]`;
    for (const pattern of clausePatterns(rule.clause)) {
      const fault = patternFault(pattern);
      if (fault) refuse(`The pattern ${fault}.`, `${field}.clause`);
    }
    if (!known.has(`${rule.provider}\n${rule.model_id}`))
      refuse('The provider has no such model.', `${field}.model_id`);
  }
  const aliases = new Set<string>();
  for (const [index, alias] of body.aliases.entries()) {
    const field = `aliases[${index}]`;
    if (!known.has(`${alias.provider}\n${alias.model_id}`))
      refuse('The provider has no such model.', `${field}.model_id`);
    const { effective_from: from, effective_to: to } = alias;
    if (to !== undefined && from !== undefined && instantMs(to) <= instantMs(from)) {
      refuse('effective_to must be after effective_from.', `${field}.effective_to`);
    }
    const key = `${alias.provider}\n${alias.alias}\n${from === undefined ? '' : instantMs(from)}`;
    if (aliases.has(key)) refuse('The alias is there twice from the same instant on.', field);
    aliases.add(key);
  }
  for (const [index, model] of body.models.entries()) {
    if (model.successor !== undefined && !known.has(`${model.provider}\n${model.successor}`)) {
      refuse('The provider has no such model.', `models[${index}].successor`);
    }
  }
  checkOnce(
    body.models.map(({ provider, model_id }) => `${provider}\n${model_id}`),
    'models',
  );
  checkOnce(
    (body.source_books ?? []).map(({ source_id, effective_from }) => `${source_id}\n${instantMs(effective_from)}`),
    'source_books',
  );
  checkOnce(
    body.fallback_providers.map(({ provider }) => provider),
    'fallback_providers',
  );
}

function checkOnce(keys: string[], list: string): void {
  const seen = new Set<string>();
  for (const [index, key] of keys.entries()) {
    if (seen.has(key)) refuse('The entry is there twice.', `${list}[${index}]`);
    seen.add(key);
  }
}

/** A row buries an older version's row where it would be in force instead of that one, which began later. */
function checkBuried(body: CatalogVersionBody, old: PriceRow[], rows: PriceRow[]): void {
  for (const slot of new Set(old.map(slotKey))) {
    const before = new ModelPrices(old.filter((row) => slotKey(row) === slot));
    const fresh = new ModelPrices(rows.filter((row) => slotKey(row) === slot));
    for (const instant of [...before.boundaries, ...fresh.boundaries]) {
      const older = before.winnerAt(slot, instant);
      const newer = fresh.winnerAt(slot, instant);
      if (!older || !newer || instantMs(newer.effective_from) >= instantMs(older.effective_from)) continue;
      const index = Number(newer.price_id.slice(newer.price_id.indexOf('.') + 1));
      if (body.prices[index]?.supersede === true) continue;
      throw new CostplusError(
        'buries_prices',
        `The row would hide a price of version ${older.version} that is in force from ${older.effective_from} on. ` +
          'Give it an effective_to, restate the later price, or say supersede: true.',
        { field: `prices[${index}]`, extra: { buried_version: older.version, buried_from: older.effective_from } },
      );
    }
  }
}

/** Multipliers are dated like prices: no two of one slot and instant, none hides a later-effective one unless it says so. */
function checkMultipliers(body: CatalogVersionBody, old: MultiplierRow[], rows: MultiplierRow[]): void {
  checkOnce(
    rows.map((row) => `${multiplierSlot(row)}\n${row.effective_from}`),
    'multipliers',
  );
  for (const [index, row] of (body.multipliers ?? []).entries()) {
    if (row.effective_to !== undefined && instantMs(row.effective_to) <= instantMs(row.effective_from)) {
      refuse('effective_to must be after effective_from.', `multipliers[${index}].effective_to`);
    }
    if (row.supersede) continue;
    const fresh = timedMultiplier(rows[index]!, index);
    const slot = old.map(timedMultiplier).filter((other) => other.slot === fresh.slot);
    const buried = slot.find((other) => other.fromMs > fresh.fromMs && isHidden(slot, other, fresh));
    if (buried === undefined) continue;
    throw new CostplusError(
      'buries_prices',
      `The multiplier would hide one of version ${buried.version} that is in force from ${buried.row.effective_from} on. ` +
        'Give it an effective_to, restate the later one, or say supersede: true.',
      {
        field: `multipliers[${index}]`,
        extra: { buried_version: buried.version, buried_from: buried.row.effective_from },
      },
    );
  }
}

/** Whether an older row that begins later is in force at an instant that the new row covers. */
function isHidden(slot: TimedMultiplier[], other: TimedMultiplier, fresh: TimedMultiplier): boolean {
  return other.fromMs < fresh.toMs && winnersAt(slot, other.fromMs).includes(other);
}

/** At no instant may fallbacks run in a circle, nor a model charge in two currencies (an event has one cost). */
function checkConsistent(prices: ModelPrices, { provider, model_id }: PriceRow): void {
  for (const instant of prices.boundaries) {
    const { rows } = prices.spanAt(instant);
    const currencies = new Set(rows.filter((row) => row.price !== null && !row.free).map((row) => row.currency));
    if (currencies.size > 1) {
      refuse(`${provider}/${model_id} would be priced in ${[...currencies].sort().join(' and ')} at once.`, 'prices');
    }
    const next = new Map<string, Set<string>>();
    for (const { meter, same_as } of rows) {
      if (same_as !== null) next.set(meter, (next.get(meter) ?? new Set()).add(same_as));
    }
    for (const meter of next.keys()) {
      if (reaches(next, meter, meter)) {
        refuse(`Fallbacks of ${provider}/${model_id} run in a circle through ${meter}.`, 'prices');
      }
    }
  }
}

function reaches(next: Map<string, Set<string>>, from: string, target: string): boolean {
  const seen = new Set<string>();
  const open = [from];
  for (let meter = open.pop(); meter !== undefined; meter = open.pop()) {
    for (const following of next.get(meter) ?? []) {
      if (following === target) return true;
      if (!seen.has(following)) {
        seen.add(following);
        open.push(following);
      }
    }
  }
  return false;
}
