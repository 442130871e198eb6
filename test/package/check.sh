#!/usr/bin/env bash
# Looks at the package as its users get it: bash test/package/check.sh [publint] [attw] [install]   (all three by default)
# Expects a fresh `npm run build`; packs without running it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -f dist/index.js ] || { echo 'no dist/index.js: npm run build first'; exit 1; }

npm pack --silent --ignore-scripts --pack-destination "$work" > /dev/null
tarball=$(echo "$work"/*.tgz)

# Only what a user needs is in the tarball, and what its documents link to.
contents() {
  local strays
  strays=$(tar -tzf "$tarball" | grep -vE '^package/(package\.json|(README|CHANGELOG|CONTRIBUTING|SECURITY|docs/[a-z-]+|bench/README)\.md|bench/results/[a-z0-9-]+\.svg|LICENSE|dist/.+\.(js|d\.ts))$' || true)
  [ -z "$strays" ] || { printf 'should not be in the package:\n%s\n' "$strays"; return 1; }
}

# An empty project installs the tarball, compiles a typed use of it with all declarations checked, and runs it. Faults of
# @types/node's own declarations are not ours.
install() {
  local project="$work/project" errors
  mkdir "$project"
  cp test/package/consumer/* "$project"
  cd "$project"
  npm install --silent --no-audit --no-fund --prefer-offline "$tarball" "@types/node@$(node -p "require('$root/package.json').devDependencies['@types/node']")"
  errors=$(node "$root/node_modules/typescript/bin/tsc" -p . --pretty false | grep -vE '^(node_modules/@types/| )' || true)
  [ -z "$errors" ] || { echo "$errors"; return 1; }
  node use.js
  node subpaths.js
  local program
  for program in $(node -p "Object.keys(require('$root/package.json').bin).join(' ')"); do npx --no-install "$program" --help > /dev/null; done
  cd "$root"
}

for check in "${@:-publint attw install}"; do
  for name in $check; do
    case $name in
      publint) contents; npx --no-install publint --strict ;;
      attw) npx --no-install attw "$tarball" --profile esm-only --no-emoji ;;
      install) install ;;
      *) echo "no such check: $name"; exit 2 ;;
    esac
  done
done
