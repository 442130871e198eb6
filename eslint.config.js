import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

/** `source.pipe(target)` forwards no error and closes nothing; `pipeline()` does both. Effect-style `pipe(a, b)` is not meant. */
const noBarePipe = {
  selector: "CallExpression[callee.type='MemberExpression'][callee.property.name='pipe']",
  message: 'a bare .pipe() loses errors and leaks streams: use pipeline() or compose()'
}
const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'named exports only: a name that can be searched for'
}
const noDefaultReexport = {
  selector: "ExportSpecifier[exported.name='default']",
  message: 'named exports only: a name that can be searched for'
}

export default defineConfig(
  globalIgnores(['**/node_modules/', 'dist/', 'bench/.build/', 'coverage/', 'docs/api/', '.cache/', '.ci/', 'test/package/consumer/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // What catches real stream bugs.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      // rethrowing what was caught keeps it as it is, Error or not
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: 'only-allowed-literals' }],
      '@typescript-eslint/no-unnecessary-type-arguments': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      // `async` is also how a function promises to reject instead of throw, and a generator may only be shaped like its kin.
      '@typescript-eslint/require-await': 'off',
      // at odds with no-unnecessary-type-assertion over String(value) of a value that may be anything
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'prefer-const': 'error',
    }
  },
  {
    files: ['index.ts', 'lib/**/*.ts', 'streams/**/*.ts', 'pipelines/**/*.ts', 'cli/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noBarePipe, noDefaultExport, noDefaultReexport] }
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts', 'examples/**/*.ts', 'cli/**/*.ts'],
    rules: { 'no-console': 'off' }
  },
  {
    // tests handle values of any kind on purpose, and chai asserts by reading a property
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off'
    }
  },
  {
    files: ['test/**/*.test-d.ts'],
    rules: { '@typescript-eslint/no-unused-vars': 'off' }
  }
)
