/** The public functions and objects that are parts, or make them: each needs an `@example`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** The types that count as parts, by name. A promise of a part counts too. */
const parts = new Set([
  'LocalRule',
  'Wrapper',
  'GlobalModulator',
  'PerExampleModulator',
  'WeightModulator',
  'Transform',
  'Plasticity',
  'Schedule',
  'Assignment',
  'Recipe',
  'Network',
  'LayersModel',
  'PlasticOptimizer',
  'Layer',
  'ImageSet',
  'BackendAdapter',
]);

/** Entries without parts for users and for authors of plugins: they are for learners and adapters, or use parts. */
const excluded = /^@ghl\/(core\/(backend|engine)|race)$/;

/** One exported part or factory. */
export interface Factory {
  /** The entry that exports it, and its name: `@ghl/core maxAbs`. */
  readonly name: string;
  readonly hasExample: boolean;
}

/** The source files of the entries of all packages, by the name that users import, except the excluded ones. */
export function entriesOf(root: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const folder of readdirSync(join(root, 'packages'))) {
    const manifest = join(root, 'packages', folder, 'package.json');
    if (!existsSync(manifest)) continue;
    const { name, exports } = JSON.parse(readFileSync(manifest, 'utf8')) as {
      name: string;
      exports: Record<string, { '@ghl/source'?: string } | string>;
    };
    for (const [path, target] of Object.entries(exports)) {
      const source = typeof target === 'object' ? target['@ghl/source'] : undefined;
      const entry = join(name, path);
      if (source !== undefined && !excluded.test(entry)) entries.set(entry, join(root, 'packages', folder, source));
    }
  }
  return entries;
}

/** The exported parts and factories of entries: name of the entry → its file. */
export function factoriesOf(entries: ReadonlyMap<string, string>, options: ts.CompilerOptions): Factory[] {
  const program = ts.createProgram([...entries.values()], options);
  const checker = program.getTypeChecker();
  const isPart = (type: ts.Type): boolean => {
    const names = [type.aliasSymbol?.name, type.getSymbol()?.name];
    if (names.includes('Promise')) return checker.getTypeArguments(type as ts.TypeReference).some(isPart);
    if (names.some((name) => name !== undefined && parts.has(name))) return true;
    if (type.isUnionOrIntersection()) return type.types.some(isPart);
    return type.isClassOrInterface() && checker.getBaseTypes(type).some(isPart);
  };
  return [...entries].flatMap(([entry, file]) => {
    const source = program.getSourceFile(file);
    const module = source && checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${entry} has no exports.`);
    return checker.getExportsOfModule(module).flatMap((exported): Factory[] => {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if ((symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Variable)) === 0) return [];
      const type = checker.getTypeOfSymbol(symbol);
      const types = type.getCallSignatures().map((signature) => signature.getReturnType());
      if (![type, ...types].some(isPart)) return [];
      const hasExample = symbol.getJsDocTags(checker).some((tag) => tag.name === 'example');
      return [{ name: `${entry} ${exported.name}`, hasExample }];
    });
  });
}
