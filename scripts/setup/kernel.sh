# The guest's kernel: the distribution's generic one, unpacked and not installed, so the host's boot menu stays as it is.

set_up_kernel() {
  if [ -s "$build/kernel/release" ] && [ -s "$build/kernel/vmlinuz" ] && [ -d "$build/kernel/modules/kernel" ]; then
    found "guest kernel is there ($(cat "$build/kernel/release"))"
    return
  fi
  resolve_kernel_packages
  mkdir "$stage/packages" "$stage/tree" "$stage/kernel"
  say "downloading the guest kernel: $kernel_packages"
  download_kernel_packages
  say 'unpacking the guest kernel'
  for package in "$stage"/packages/*.deb; do unpack_kernel_package "$package"; done
  arrange_kernel
  # Renamed when it is whole: what was there before was not, and a cut-off set-up leaves only the stage.
  rm -rf "$build/kernel"
  mv "$stage/kernel" "$build/kernel"
  rm -rf "$stage/packages" "$stage/tree"
  say "guest kernel $(cat "$build/kernel/release")"
}

# Sets kernel_packages to the concrete packages behind the distribution's metapackage.
resolve_kernel_packages() {
  command -v apt-cache > /dev/null || fail 'cannot get a guest kernel: there is no apt here' \
    "put a kernel's files into $build/kernel as docs/development.md describes"
  concrete_kernel
  if [ -z "$kernel_packages" ]; then
    say 'the lists of apt are empty'
    run_as_administrator 'apt-get update -q'
    concrete_kernel
  fi
  [ -n "$kernel_packages" ] || fail 'cannot find a guest kernel: apt knows neither linux-image-amd64 nor linux-image-generic'
}

concrete_kernel() {
  kernel_packages=
  for metapackage in linux-image-amd64 linux-image-generic; do
    image=$(LC_ALL=C apt-cache depends "$metapackage" 2> /dev/null |
      sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
    [ -n "$image" ] || continue
    kernel_packages=$image
    # Ubuntu keeps the modules in packages of their own.
    for modules in "linux-modules-${image#linux-image-}" "linux-modules-extra-${image#linux-image-}"; do
      if apt-cache show "$modules" > /dev/null 2>&1; then kernel_packages="$kernel_packages $modules"; fi
    done
    return
  done
}

download_kernel_packages() {
  download_kernel && return
  # The lists can be older than the mirror, which keeps only the newest version.
  say 'the download failed; bringing the lists of apt up to date'
  run_as_administrator 'apt-get update -q'
  resolve_kernel_packages
  rm -f "$stage"/packages/*
  download_kernel || fail 'cannot download the guest kernel; the lines above say why'
}

# apt checks what it downloads against the signed lists. As root it would drop to a user who cannot write here.
download_kernel() (
  cd "$stage/packages"
  # shellcheck disable=SC2086
  apt-get download -q -o APT::Sandbox::User=root $kernel_packages 9>&-
)

# Only what an initramfs can need: the whole tree would be ten times as large.
unpack_kernel_package() {
  dpkg-deb --fsys-tarfile "$1" | tar -t > "$stage/names"
  grep -E \
    -e '^\./boot/vmlinuz-' \
    -e '/lib/modules/[^/]+/modules\.(builtin|builtin\.modinfo|order)$' \
    -e '/lib/modules/[^/]+/kernel/(fs|lib|crypto|arch/x86/crypto|net/core|net/9p)/.*[^/]$' \
    -e '/lib/modules/[^/]+/kernel/drivers/(virtio|block|char)/.*[^/]$' \
    -e '/lib/modules/[^/]+/kernel/drivers/net/(virtio_net|net_failover)\.ko' \
    "$stage/names" > "$stage/wanted" || return 0
  dpkg-deb --fsys-tarfile "$1" | tar -x --no-same-owner --no-recursion -C "$stage/tree" -T "$stage/wanted" ||
    fail "cannot unpack $(basename "$1")"
}

arrange_kernel() {
  set -- "$stage"/tree/boot/vmlinuz-*
  [ -s "$1" ] || fail "no kernel image in: $kernel_packages"
  release=${1##*/vmlinuz-}
  modules=$stage/tree/lib/modules/$release
  [ -d "$modules" ] || modules=$stage/tree/usr/lib/modules/$release
  [ -d "$modules/kernel/fs" ] || fail "no modules of $release in: $kernel_packages"
  mv "$1" "$stage/kernel/vmlinuz"
  chmod 0644 "$stage/kernel/vmlinuz"
  mv "$modules" "$stage/kernel/modules"
  echo "$release" > "$stage/kernel/release"
  sync -f "$stage/kernel/release"
}
