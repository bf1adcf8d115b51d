/** The record of an inspection of a finished run, `inspection.json` in its folder. */
import { join } from 'node:path';
import { type LayerInspection, montage, patchImages } from '@ghl/evaluation';
import { jsonRecord, number, parseJson } from '@ghl/race';
import { z } from 'zod';
import { replaceFile } from './atomic-file.js';
import { pictureOf, pictureSchema } from './picture.js';
import { readIfExists } from './run-folder.js';

const layerSchema = z.object({
  layer: z.string(),
  units: number,
  /** ‖w_k‖ of each unit; null for a layer without a kernel. */
  norms: z.array(number).nullable(),
  /** Share of dead units. */
  dead: number,
  /** Normalized entropy of the winners; NaN if no position has one. */
  entropy: number,
  /** Test accuracy of the linear probe, and of the nearest neighbours. */
  probe: number,
  neighbours: number,
  features: number,
  /** The patches that excite its first units most; null unless it is a convolution. */
  patches: z.object({ ...pictureSchema.shape, units: number }).nullable(),
});

/** One layer of an inspection. */
export type InspectedLayer = z.infer<typeof layerSchema>;

const inspectionSchema = z.object({
  schemaVersion: z.literal(1),
  /** Images that the inspection read. */
  trainImages: number,
  testImages: number,
  layers: z.array(layerSchema),
});

/** An inspection of a run. */
export type Inspection = z.infer<typeof inspectionSchema>;

const pathIn = (runFolder: string) => join(runFolder, 'inspection.json');

/** Reads the inspection in the folder of a run; null if there is none. */
export async function readInspection(runFolder: string): Promise<Inspection | null> {
  const path = pathIn(runFolder);
  const bytes = await readIfExists(path);
  return bytes && parseJson(path, new TextDecoder().decode(bytes), inspectionSchema);
}

/** Writes an inspection into the folder of its run. */
export function writeInspection(runFolder: string, inspection: Inspection): Promise<void> {
  return replaceFile(pathIn(runFolder), jsonRecord(inspection), 'make the folder writable, or inspect a copy of it.');
}

/** The record of one layer, with its patches as a picture: nine for a unit, units in a square. */
export function inspectedLayer(layer: string, inspection: LayerInspection): InspectedLayer {
  const { norms, dead, winners, probe, neighbours, patches } = inspection;
  const images = patches === null ? [] : patchImages(patches);
  return {
    layer,
    units: winners.shares.length,
    norms: norms?.norms.map((norm) => Number(norm.toPrecision(6))) ?? null,
    dead: dead.share,
    entropy: winners.entropy,
    probe: probe.accuracy,
    neighbours: neighbours.accuracy,
    features: probe.features,
    patches: patches && {
      ...pictureOf(montage(images, { columns: Math.ceil(Math.sqrt(images.length)), gap: 3 })),
      units: patches.units.length,
    },
  };
}
