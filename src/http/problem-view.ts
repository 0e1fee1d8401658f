import { z } from 'zod';
import { PROBLEM_MEDIA_TYPE } from './problems.js';

const problemView = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  field: z.string().optional(),
});
/** The errors of every route, as RFC 9457 documents. */
export const problemResponses = {
  '4xx': { description: 'Refused', content: { [PROBLEM_MEDIA_TYPE]: { schema: problemView } } },
  '5xx': { description: 'Failed', content: { [PROBLEM_MEDIA_TYPE]: { schema: problemView } } },
};
