import tseslint from 'typescript-eslint'

// The compiler needs the DOM types (docs/decisions/0001); this list keeps DOM names out of what runs on Node.
const browserOnly = [
  'window',
  'document',
  'navigator',
  'localStorage',
  'sessionStorage',
  'location',
  'history',
  'alert',
  'confirm',
  'prompt',
  'name',
  'event',
  'origin',
  'status',
  'self',
  'parent',
  'top',
  'HTMLElement',
  'XMLHttpRequest',
  'WebSocket',
]

export default tseslint.config(
  { ignores: ['dist', 'native', 'scripts', 'node_modules', 'eslint.config.js'] },
  ...tseslint.configs.strict,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
            },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  { ignores: ['console/**'], files: ['**/*.ts'], rules: { 'no-restricted-globals': ['error', ...browserOnly] } },
)
