/** The record of one rule × modulator, a file for each: `DIR/<rule>+<modulator>.json`. */
import { join } from 'node:path';
import { json, jsonRecord, number, parseJson } from '@ghl/race';
import { z } from 'zod';
import { replaceFile } from './atomic-file.js';
import { readIfExists } from './run-folder.js';

const failureSchema = z.object({ code: z.string(), message: z.string() });

const settingsSchema = z.object({
  network: z.string(),
  /** SHA-256 of the images. */
  dataset: z.string(),
  trainSize: number,
  testSize: number,
  epochs: number,
  batch: number,
  seeds: number,
  backend: z.string(),
});

const seedSchema = z.object({
  seed: number,
  /** Test accuracy after each epoch. */
  testAccuracies: z.array(number),
  /** Cosine of the increment with −∂L/∂W at the last measurement, by layer that the rule moves. */
  alignment: z.record(z.string(), number),
  /** Why the run ended early; null if it did not. */
  failure: failureSchema.nullable(),
});

const cellSchema = z.object({
  schemaVersion: z.literal(1),
  rule: z.string(),
  /** Null for none. */
  modulator: z.string().nullable(),
  settings: settingsSchema,
  /** Why rule and modulator do not go together; null if they do. */
  refusal: failureSchema.nullable(),
  /** The spec of each layer's product; null if it is refused. */
  spec: z.record(z.string(), json).nullable(),
  seeds: z.array(seedSchema),
  /** The time of a step divided by that of back-propagation, both made alternately; null if not measured. */
  stepRatio: z.object({ median: number, spread: number, steps: number }).nullable(),
  machine: z.object({ cpu: z.string(), node: z.string(), commit: z.string().nullable(), loadBefore: number }),
});

/** The settings of a cell. */
export type CellSettings = z.infer<typeof settingsSchema>;

/** One run of a cell. */
export type CellSeed = z.infer<typeof seedSchema>;

/** One rule × modulator. */
export type ProductCell = z.infer<typeof cellSchema>;

/** The name of a cell, and of its file. */
export const cellName = ({ rule, modulator }: Pick<ProductCell, 'rule' | 'modulator'>): string =>
  modulator === null ? rule : `${rule}+${modulator}`;

const pathOf = (folder: string, cell: Pick<ProductCell, 'rule' | 'modulator'>) =>
  join(folder, `${cellName(cell)}.json`);

/** Reads a cell; null if it was not measured. */
export async function readCell(
  folder: string,
  cell: Pick<ProductCell, 'rule' | 'modulator'>,
): Promise<ProductCell | null> {
  const path = pathOf(folder, cell);
  const bytes = await readIfExists(path);
  return bytes && parseJson(path, new TextDecoder().decode(bytes), cellSchema);
}

/** Writes a finished cell. */
export function writeCell(folder: string, cell: ProductCell): Promise<void> {
  return replaceFile(pathOf(folder, cell), jsonRecord(cell));
}
