import { z } from 'zod';
import { schemaFault } from '../contracts/schema-fault.js';
import type { ErrorCode } from '../errors/catalog.js';
import { CostplusError } from '../errors/error.js';

type SchemaCompiler = (route: {
  schema: unknown;
  httpPart?: string;
}) => (data: unknown) => { value: unknown } | { error: Error };

/** How clients call the parts of a request. */
const PART_NAMES: Readonly<Record<string, string>> = { querystring: 'query', params: 'path', body: 'body' };

/** Validates parameters, queries and bodies of routes; a body's fault has its own code where `bodyCode` says so. */
export function validatorFor(bodyCode: ErrorCode = 'invalid_request'): SchemaCompiler {
  return ({ schema, httpPart = 'body' }) => {
    if (!(schema instanceof z.ZodType)) throw new Error('routes are described by zod schemas');
    return (data) => {
      const parsed = schema.safeParse(data);
      if (parsed.success) return { value: parsed.data };
      const { field, reason } = schemaFault(parsed.error);
      const where = field === '' ? (PART_NAMES[httpPart] ?? httpPart) : field;
      const code = httpPart === 'body' ? bodyCode : 'invalid_request';
      return { error: new CostplusError(code, `${where}: ${reason}.`, { field: where }) };
    };
  };
}

/** For routes that parse their body themselves: the schema stands in the OpenAPI document only. */
export const describedOnly: SchemaCompiler = () => (data) => ({ value: data });
