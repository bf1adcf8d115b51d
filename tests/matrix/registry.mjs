/**
 * A registry on loopback, in a separate process. It prints its port, and ends with its standard input. It stores
 * packages of the scope `@ghl`. All others come from the registry in the first argument. The second argument is its
 * folder.
 */
import { join } from 'node:path';
import { runServer } from 'verdaccio';

const [uplink, folder] = process.argv.slice(2);
const server = await runServer({
  self_path: join(folder, 'config.yaml'),
  storage: folder,
  uplinks: { npm: { url: uplink, timeout: '60s', max_fails: 10 } },
  packages: {
    '@ghl/*': { access: '$all', publish: '$all', unpublish: '$all' },
    '**': { access: '$all', proxy: 'npm' },
  },
  log: { type: 'stdout', format: 'json', level: 'fatal' },
  web: { enable: false },
  max_body_size: '100mb',
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on('close', () => process.exit(0)).resume();
