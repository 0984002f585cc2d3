import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** One import, re-export or dynamic import, as it stands in a module. */
export interface ModuleImport {
  /** The module, as a path within the checkout. */
  readonly from: string
  /** As written. */
  readonly specifier: string
  /** The imported module as a path within the checkout; undefined for what is not relative. */
  readonly to: string | undefined
  readonly when: 'compile' | 'load' | 'call'
}

const checkout = fileURLToPath(new URL('../../', import.meta.url))

/** Every TypeScript module below a folder of the checkout, as paths within the checkout. */
export function modulesBelow(folder: string): readonly string[] {
  return readdirSync(join(checkout, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(checkout, join(entry.parentPath, entry.name)))
    .sort()
}

export function importsOfModule(from: string): readonly ModuleImport[] {
  return importsOfText(from, readFileSync(join(checkout, from), 'utf8'))
}

export function importsOfText(from: string, text: string): readonly ModuleImport[] {
  const found: ModuleImport[] = []
  // A name of this module for a literal, where the compiler is not to read what is imported.
  const constants = new Map<string, ts.Node>()
  const add = (given: ts.Node | undefined, when: ModuleImport['when']): void => {
    if (given === undefined) return
    const specifier = ts.isIdentifier(given) ? (constants.get(given.text) ?? given) : given
    if (!ts.isStringLiteralLike(specifier)) throw new Error(`${from} imports something that is no literal`)
    const isRelative = specifier.text.startsWith('.')
    const to = isRelative ? posix.join(dirname(from), specifier.text) : undefined
    found.push({ from, specifier: specifier.text, to, when })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'compile' : 'load')
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly ? 'compile' : 'load')
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument, 'compile')
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], 'call')
    }
    ts.forEachChild(node, visit)
  }
  const source = ts.createSourceFile(from, text, ts.ScriptTarget.ES2023)
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement) || !(statement.declarationList.flags & ts.NodeFlags.Const)) continue
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (ts.isIdentifier(name) && initializer !== undefined) constants.set(name.text, initializer)
    }
  }
  visit(source)
  return found
}

/** The first circle of imports that are there when modules load; undefined when there is none. */
export function circle(imports: readonly ModuleImport[]): readonly string[] | undefined {
  const edges = new Map<string, string[]>()
  for (const { from, to, when } of imports) {
    if (when === 'load' && to !== undefined) edges.set(from, [...(edges.get(from) ?? []), to])
  }
  const finished = new Set<string>()
  const walk = (module: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(module)) return [...path.slice(path.indexOf(module)), module]
    if (finished.has(module)) return undefined
    for (const next of edges.get(module) ?? []) {
      const found = walk(next, [...path, module])
      if (found !== undefined) return found
    }
    finished.add(module)
    return undefined
  }
  for (const module of edges.keys()) {
    const found = walk(module, [])
    if (found !== undefined) return found
  }
  return undefined
}
