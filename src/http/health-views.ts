import { z } from 'zod';

export const aliveView = z.strictObject({ status: z.literal('alive') });
export const readyView = z.strictObject({
  status: z.literal('ready'),
  database: z.literal('ready'),
  migrations: z.literal('ready'),
  engine: z.literal('ready'),
});
export const webhookAnswerView = z.strictObject({ received: z.literal(true) });
