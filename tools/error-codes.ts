/** The codes that the packages and the bench throw, from their source. docs/reference/errors.md lists them. */
import { resolve } from 'node:path';
import ts from 'typescript';

/** A place that throws a code. */
export interface Thrown {
  /** Class of the error: `'ConfigurationError'`. */
  readonly errorClass: string;
  /** `'packages/core/src/state.ts:72'`. */
  readonly place: string;
}

/**
 * Parses the files. It resolves only the modules of the workspace, and so does not load the types of TensorFlow.js and
 * DOM.
 */
function programOf(root: string): ts.Program {
  const excluded = ['**/node_modules', '**/*.test.ts', '**/*.test-d.ts', '**/*.fixture.ts'];
  const files = ts.sys.readDirectory(root, ['.ts'], excluded, ['packages/*/src', 'apps/*/src']);
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    customConditions: ['@ghl/source'],
    strict: true,
    noLib: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  host.resolveModuleNameLiterals = (literals, file, _redirected, options) =>
    literals.map(({ text }) =>
      /^(\.|@ghl\/)/.test(text)
        ? ts.resolveModuleName(text, file, options, host, undefined, undefined, ts.ModuleKind.ESNext)
        : { resolvedModule: undefined },
    );
  return ts.createProgram(files, options, host);
}

/** The expression without `as const`. */
const literalOf = (expression: ts.Expression): ts.Expression =>
  ts.isAsExpression(expression) ? expression.expression : expression;

/**
 * Every code in the source of packages and apps, with the places that throw it.
 *
 * A code is the first argument of a class that extends `GhlError`; `UNKNOWN_<KIND>` for a `kind` given to
 * `unknownName()`; or the text of a property `code`, which becomes such an argument elsewhere. If an argument is a
 * parameter, the arguments of the function's callers count.
 *
 * @throws Error if the code of an error cannot be read from the source.
 */
export function errorCodes(root = resolve('.')): Map<string, Thrown[]> {
  const program = programOf(root);
  const checker = program.getTypeChecker();
  const sources = program.getSourceFiles().filter(({ fileName }) => !fileName.includes('/node_modules/'));
  const codes = new Map<string, Thrown[]>();

  const placeOf = (node: ts.Node): string => {
    const file = node.getSourceFile();
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    return `${file.fileName.slice(root.length + 1)}:${line + 1}`;
  };
  const add = (code: string, errorClass: string, node: ts.Node): void => {
    codes.set(code, [...(codes.get(code) ?? []), { errorClass, place: placeOf(node) }]);
  };
  const symbolOf = (node: ts.Node): ts.Symbol | undefined => {
    const symbol = checker.getSymbolAtLocation(node);
    return symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  };

  const calls = new Map<ts.Symbol, ts.CallExpression[]>();
  const every = (visit: (node: ts.Node) => void): void => {
    const walk = (node: ts.Node): void => {
      visit(node);
      ts.forEachChild(node, walk);
    };
    sources.forEach(walk);
  };
  every((node) => {
    const called =
      ts.isCallExpression(node) && ts.isIdentifier(node.expression) ? symbolOf(node.expression) : undefined;
    if (called) calls.set(called, [...(calls.get(called) ?? []), node as ts.CallExpression]);
  });

  /** The texts that an expression can have, each with its node. */
  const textsOf = (expression: ts.Expression): [text: string, node: ts.Node][] => {
    if (ts.isAsExpression(expression)) return textsOf(expression.expression);
    // `failure.code`: its values are read from the objects that get that property.
    if (ts.isPropertyAccessExpression(expression) && expression.name.text === 'code') return [];
    const parameter = symbolOf(expression)?.valueDeclaration;
    if (parameter && ts.isParameter(parameter) && ts.isFunctionDeclaration(parameter.parent)) {
      const { name, parameters } = parameter.parent;
      const callers = calls.get(symbolOf(name!)!) ?? [];
      return callers.flatMap((call) => textsOf(call.arguments[parameters.indexOf(parameter)]!));
    }
    const type = checker.getTypeAtLocation(expression);
    const texts = (type.isUnion() ? type.types : [type]).map((each) =>
      each.isStringLiteral() ? each.value : undefined,
    );
    if (texts.every((text) => text !== undefined)) return texts.map((text) => [text, expression]);
    throw new Error(`${placeOf(expression)}: cannot tell which code ${expression.getText()} is.`);
  };
  const isGhlError = (type: ts.Type | undefined): boolean =>
    type !== undefined &&
    (type.symbol?.name === 'GhlError' || isGhlError(checker.getBaseTypes(type as ts.InterfaceType)?.[0]));

  every((node) => {
    if (ts.isNewExpression(node)) {
      const type = checker.getTypeAtLocation(node);
      const [code] = node.arguments ?? [];
      if (!type.isClass() || !isGhlError(type) || !code || code.getText().startsWith('`UNKNOWN_')) return;
      for (const [text, where] of textsOf(code)) add(text, type.symbol.name, where);
    } else if (ts.isCallExpression(node) && node.expression.getText() === 'unknownName') {
      for (const [kind, where] of textsOf(node.arguments[0]!)) {
        add(`UNKNOWN_${kind.toUpperCase().replace(/\W+/g, '_')}`, 'ConfigurationError', where);
      }
    } else if (
      ts.isPropertyAssignment(node) &&
      node.name.getText() === 'code' &&
      ts.isStringLiteral(literalOf(node.initializer))
    ) {
      add((literalOf(node.initializer) as ts.StringLiteral).text, 'GhlError', node);
    }
  });
  return codes;
}
