import { describe, expect, it } from 'vitest';
import { ENVIRONMENT_NAMES } from '../../../src/config.js';
import { ERROR_CATALOG } from '../../../src/errors/catalog.js';
import { createMetrics } from '../../../src/observability/metrics.js';
import { tableRows } from '../../support/docs.js';

describe('docs/reference/errors.md', () => {
  it('has every code of the catalog with its status and whether a retry makes sense, and no other', () => {
    const documented = tableRows('docs/reference/errors.md').map(([code, status, retry]) => [
      code,
      Number(status),
      retry,
    ]);
    const catalog = Object.entries(ERROR_CATALOG).map(([code, { status, retryable }]) => [
      code,
      status,
      retryable ? 'yes' : 'no',
    ]);
    expect(documented.sort()).toEqual(catalog.sort());
  });
});

describe('docs/reference/metrics.md', () => {
  it('has every metric with its type and labels, and no other', () => {
    const documented = tableRows('docs/reference/metrics.md').map(([name, type, labels]) => [
      name,
      type,
      (labels!.replace(/\([^)]*\)/g, '').match(/\w+/g) ?? []).join(),
    ]);
    const registered = createMetrics()
      .registry.getMetricsAsArray()
      .map((metric) => {
        const { labelNames = [] } = metric as unknown as { labelNames?: string[] };
        return [metric.name, String(metric.type), [...labelNames].join()];
      });
    expect(documented.sort()).toEqual(registered.sort());
  });
});

describe('docs/reference/configuration.md', () => {
  it('has every variable that is read, and no other', () => {
    const documented = tableRows('docs/reference/configuration.md').map(([name]) => name);
    expect(documented.sort()).toEqual([...ENVIRONMENT_NAMES].sort());
  });
});
