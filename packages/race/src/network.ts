/** Networks by name. */
import { unknownName } from '@ghl/core/plugin';
import { type Network, networks } from '@ghl/models';

/** Names of the networks. */
export const networkNames: readonly string[] = Object.keys(networks);

/** @throws ConfigurationError `UNKNOWN_NETWORK`. */
export function networkOf(name: string): Network {
  if (!Object.hasOwn(networks, name)) throw unknownName('network', name, networkNames);
  return networks[name as keyof typeof networks];
}
