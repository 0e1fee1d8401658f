import type { Command } from 'commander';
import type { Plan, PlanRule, PlanVersion } from '../contracts/plan.js';
import type { Tier } from '../contracts/plan-rule.js';
import type { Allowance } from '../contracts/plan-terms.js';
import { allowancesOf, baseFeeOf } from '../plans/plan-parts.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, print, readJsonFile } from './context.js';
import { fields, table } from './output.js';

/** `costplus plan publish|show`. */
export function registerPlans(program: Command, context: CommandContext): void {
  const plan = program.command('plan').description('how customers are charged');
  describe(
    plan
      .command('publish')
      .description('publish a plan version from a JSON file (- reads standard input)')
      .argument('<file>'),
    ['plan publish pro.json'],
  ).action(async (file: string, options: { json?: boolean }) => {
    const body = await readJsonFile(file);
    const published = await (await connect(context)).post('/v1/plans', body);
    print(context, options, published as PlanVersion, renderPlan);
  });

  describe(
    plan
      .command('show')
      .description('read a plan; its newest version where none is named')
      .argument('<plan>')
      .argument('[version]'),
    ['plan show pro', 'plan show pro 2 --json'],
  ).action(async (id: string, version: string | undefined, options: { json?: boolean }) => {
    const path = version === undefined ? apiPath('/v1/plans/{}', id) : apiPath('/v1/plans/{}/versions/{}', id, version);
    const found = await (await connect(context)).get(path);
    print(context, options, found as PlanVersion, renderPlan);
  });
}

function renderPlan({ plan_id, version, published_at, content_hash, plan }: PlanVersion): string {
  const head = fields({
    plan: `${plan_id} version ${version}`,
    'published at': published_at,
    'content hash': content_hash,
    currency: plan.currency,
    'base fee': feeText(plan),
    seats: plan.seats && `${plan.seats.price} for each of ${plan.seats.meter} beyond ${plan.seats.included}`,
    allowance: allowancesOf(plan).map(allowanceText).join('; ') || undefined,
    discounts: plan.discounts?.map(({ name }) => name).join('; '),
    'minimum spend': plan.minimum_spend,
    'maximum spend': plan.maximum_spend,
    commitment: plan.commitment && `${plan.commitment.amount} over ${plan.commitment.periods} periods`,
    'lines by': plan.lines.group_by.join(', ') || 'one line',
    grace: plan.grace,
    submission: plan.submission,
  });
  const rules = plan.rules.map((rule, index) => [index + 1, matchText(rule), chargeText(rule)]);
  return `${head}\n${table(['rule', 'applies to', 'charge'], rules)}`;
}

function matchText(rule: PlanRule): string {
  const parts = Object.entries(rule.match ?? {}).map(
    ([name, value]) => `${name} ${Array.isArray(value) ? value.join(' or ') : value}`,
  );
  return parts.length === 0 ? 'everything else' : parts.join(', ');
}

function feeText(plan: Plan): string | undefined {
  const fee = baseFeeOf(plan);
  return fee === null ? undefined : `${fee.amount} in ${fee.timing}`;
}

function allowanceText(allowance: Allowance): string {
  const rolls = allowance.rollover === true ? ', the rest rolls over' : '';
  if ('charge' in allowance) return `${allowance.charge} of usage${rolls}`;
  if ('credits' in allowance) return `${allowance.credits} credits${rolls}`;
  return `${allowance.quantity} ${allowance.name ?? allowance.count}${rolls}`;
}

function chargeText(rule: PlanRule): string {
  if ('markup' in rule) return `cost x (1 + ${rule.markup})`;
  if ('margin' in rule) return `cost / (1 - ${rule.margin})`;
  const counted = rule.unit ?? rule.count;
  if ('unit_price' in rule) return `${rule.unit_price} for ${rule.per} ${counted}`;
  if ('package' in rule) return `${rule.package.price} for each ${rule.package.size} ${counted} begun`;
  if ('flat' in rule) return `${rule.flat} for the period`;
  return 'graduated' in rule
    ? `graduated over ${counted}: ${tiersText(rule.graduated)}`
    : `by volume of ${counted}: ${tiersText(rule.volume)}`;
}

function tiersText(tiers: Tier[]): string {
  return tiers
    .map(({ up_to, price, per, flat_fee }) => {
      const price_text = per === 1 ? price : `${price} for ${per}`;
      return `${up_to === undefined ? 'beyond' : `up to ${up_to}`} ${price_text}${flat_fee === undefined ? '' : ` + ${flat_fee}`}`;
    })
    .join(', ');
}
