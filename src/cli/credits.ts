import { type Command, InvalidArgumentError } from 'commander';
import type { CreditBalance, CreditEntry, CreditGrant } from '../contracts/credit.js';
import type { RuleMatch } from '../contracts/plan-rule.js';
import { PAGE_DEFAULT_COUNT } from '../limits.js';
import { apiPath } from './api-client.js';
import { type CommandContext, connect, describe, parseCount, print } from './context.js';
import { fields, table } from './output.js';

/** Options that say what usage credits are for, by the word of a match. */
const MATCH_OPTIONS = [
  ['provider', '--provider <provider>'],
  ['model_id', '--model <model>'],
  ['meter', '--meter <meter>'],
  ['feature', '--feature <feature>'],
  ['subscription_item_id', '--subscription-item <id>'],
  ['region', '--region <region>'],
  ['service_tier', '--service-tier <tier>'],
  ['source', '--source <source>'],
] as const;

interface GrantFlags {
  amount: string;
  name: string;
  appliesTo?: string;
  priority?: number;
  costBasis?: string;
  from?: string;
  expires?: string;
  requestId?: string;
  json?: boolean;
  [option: string]: unknown;
}

/** `costplus credits grant`, `list`, `balance`, `ledger` and `revoke`. */
export function registerCredits(program: Command, context: CommandContext): void {
  const credits = program.command('credits').description('prepaid credits of a customer');
  const named = (name: string, description: string) =>
    credits.command(name).description(description).argument('<customer>');

  const grant = describe(named('grant', "grant credits in the customer's currency"), [
    'credits grant acme --amount 500.00 --name "Winter pack" --cost-basis 0.80 --expires 2027-12-01T00:00:00Z',
    'credits grant acme --amount 50.00 --name "Claude trial" --provider anthropic',
    'credits grant acme --amount 50.00 --name "Free reports" --feature report --feature summary',
  ])
    .requiredOption('--amount <amount>', "in the customer's currency, such as 50.00")
    .requiredOption('--name <text>', 'what the customer reads on the line')
    .option('--applies-to <what>', 'all charges, usage or fees; all where it is left out')
    .option('--priority <number>', 'lower ones pay first; 100 where it is left out', parsePriority)
    .option('--cost-basis <amount>', 'what the customer paid for one unit of credit; nothing where it is left out')
    .option('--from <time>', 'in force from then on, RFC 3339; now where it is left out')
    .option('--expires <time>', 'until when they pay')
    .option('--request-id <id>', 'the same id does nothing twice');
  for (const [word, flags] of MATCH_OPTIONS) {
    grant.option(flags, `only for usage with this ${word}; may be repeated`, collect, []);
  }
  grant.action(async (customer: string, options: GrantFlags) => {
    const match = matchOf(options);
    const body = {
      amount: options.amount,
      name: options.name,
      applies_to: options.appliesTo,
      match: Object.keys(match).length === 0 ? undefined : match,
      priority: options.priority,
      cost_basis: options.costBasis,
      effective_from: options.from,
      expires_at: options.expires,
      request_id: options.requestId,
    };
    const made = await (await connect(context)).post(apiPath('/v1/customers/{}/credits', customer), body);
    print(context, options, made as CreditGrant, (one) => renderGrants([one]));
  });

  describe(named('list', 'all grants with what is left of them, the newest first'), ['credits list acme']).action(
    async (customer: string, options: { json?: boolean }) => {
      const path = apiPath('/v1/customers/{}/credits', customer);
      const { data } = (await (await connect(context)).get(path)) as { data: CreditGrant[] };
      print(context, options, data, renderGrants);
    },
  );

  describe(named('balance', 'what is left of all grants, for what, and until when'), ['credits balance acme']).action(
    async (customer: string, options: { json?: boolean }) => {
      const balance = await (await connect(context)).get(apiPath('/v1/customers/{}/credits/balance', customer));
      print(context, options, balance as CreditBalance, renderBalance);
    },
  );

  describe(named('ledger', 'what was granted, burned, expired and revoked, the newest first'), [
    'credits ledger acme',
    'credits ledger acme --period 2026-11-01',
    'credits ledger acme --grant 3 --json',
  ])
    .option('--grant <id>', 'of this grant only')
    .option('--period <start_date>', 'by the invoice of this period only')
    .option('--limit <count>', 'at most this many', parseCount, PAGE_DEFAULT_COUNT)
    .action(async (customer: string, options: { grant?: string; period?: string; limit: number; json?: boolean }) => {
      const api = await connect(context);
      const query = { grant_id: options.grant, start_date: options.period };
      const entries = await api.list(apiPath('/v1/customers/{}/credits/ledger', customer), query, options.limit);
      print(context, options, entries as CreditEntry[], renderLedger);
    });

  describe(named('revoke', 'take back what is left of a grant').argument('<grant>', 'its id'), [
    'credits revoke acme 3 --reason "granted to the wrong customer"',
  ])
    .requiredOption('--reason <text>', 'why; kept in the audit log')
    .action(async (customer: string, id: string, options: { reason: string; json?: boolean }) => {
      const path = apiPath('/v1/customers/{}/credits/{}/revoke', customer, id);
      const answer = await (await connect(context)).post(path, { reason: options.reason });
      print(context, options, answer as CreditGrant, (one) => renderGrants([one]));
    });
}

function matchOf(options: GrantFlags): Record<string, string[]> {
  const given = MATCH_OPTIONS.map(([word, flags]): [string, string[]] => {
    const name = flags.slice(2, flags.indexOf(' ')).replace(/-(.)/g, (_dash, letter: string) => letter.toUpperCase());
    return [word, options[name] as string[]];
  });
  return Object.fromEntries(given.filter(([, values]) => values.length > 0));
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function parsePriority(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('must be a whole number from 0 to 1000');
  return Number(text);
}

/** What a grant pays for, for reading. */
function purposeOf({ applies_to, match }: { applies_to: string; match: RuleMatch | null }): string {
  if (match === null) return applies_to;
  return Object.entries(match)
    .map(([word, value]) => `${word} ${[value].flat().join(' or ')}`)
    .join(', ');
}

function renderGrants(grants: CreditGrant[]): string {
  if (grants.length === 0) return 'No credits were granted.\n';
  return table(
    ['id', 'name', 'for', 'priority', 'amount', 'burned', 'expired', 'revoked', 'left', 'currency', 'from', 'expires'],
    grants.map((one) => [
      one.grant_id,
      one.name,
      purposeOf(one),
      one.priority,
      one.amount,
      one.burned,
      one.expired,
      one.revoked,
      one.remaining,
      one.currency,
      one.effective_from,
      one.expires_at,
    ]),
  );
}

function renderBalance(balance: CreditBalance): string {
  const { currency, available_for: available } = balance;
  const money = (amount: string) => `${amount} ${currency}`;
  const head = fields({
    customer: balance.customer_id,
    granted: money(balance.granted),
    burned: money(balance.burned),
    expired: money(balance.expired),
    revoked: money(balance.revoked),
    left: money(balance.remaining),
    'in force now': money(balance.available),
    'for all charges': money(available.all),
    'for usage': money(available.usage),
    'for some usage': money(available.matched_usage),
    'for fees': money(available.fees),
  });
  if (balance.expiring.length === 0) return head;
  const rows = balance.expiring.map(({ expires_at, remaining }) => [expires_at, remaining, currency]);
  return `${head}\n${table(['expires', 'left', 'currency'], rows)}`;
}

function renderLedger(entries: CreditEntry[]): string {
  if (entries.length === 0) return 'No entries.\n';
  return table(
    ['at', 'what', 'grant', 'name', 'amount', 'currency', 'period', 'revision'],
    entries.map((one) => [
      one.at,
      one.kind,
      one.grant_id,
      one.name,
      one.amount,
      one.currency,
      one.start_date,
      one.revision,
    ]),
  );
}
