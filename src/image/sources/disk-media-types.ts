/** Of an image that is a whole file system instead of layers: a manifest's `artifactType`, so that nobody takes it for anything else. */
export const diskArtifactType = 'application/vnd.coffer.disk.v1'

/** Of the only layer of such an image: the file system, compressed, so that its empty blocks take no place. */
export function diskMediaType(kind: 'erofs' | 'ext4'): string {
  return `${diskArtifactType}.${kind}+zstd`
}

export function isDiskType(mediaType: string): boolean {
  return mediaType === diskMediaType('erofs') || mediaType === diskMediaType('ext4')
}
