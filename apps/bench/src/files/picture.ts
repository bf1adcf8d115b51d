/** Images as PNG. */
import type { RgbaImage } from '@ghl/evaluation';
import { PNG } from 'pngjs';
import { z } from 'zod';

/** Schema of {@link Picture}. */
export const pictureSchema = z.object({ url: z.string(), width: z.number(), height: z.number() });

/** A PNG in a data URL, with its size in pixels. A page shows it enlarged. */
export type Picture = Readonly<z.infer<typeof pictureSchema>>;

/** An image as a PNG. */
export function pictureOf({ width, height, data }: RgbaImage): Picture {
  const png = new PNG({ width, height });
  png.data.set(data);
  return { url: `data:image/png;base64,${PNG.sync.write(png).toString('base64')}`, width, height };
}
