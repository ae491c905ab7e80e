/// Bounds of what one file may decompress to.
///
/// Whoever can change the answers of a mirror chooses these bytes before any signature is checked. The default fits
/// the largest metadata in use: the file lists of Fedora are 900 MB of XML, at 15 to 25 times their compressed size.
package struct DecompressionLimits: Sendable {
  /// Most bytes that a file decompresses to.
  package var outputBytes = 2 << 30
  /// Most output for each byte of input. A bomb of zeros has a ratio of 1,000 (gzip) to 50,000.
  package var ratio = 250
  /// Output below which the ratio does not count: short texts may repeat themselves.
  package var ratioFreeBytes = 16 << 20
  /// Most memory of a decoder: for xz its memory limit, for zstd its window. `xz -9` needs 65 MiB.
  package var memoryBytes = 128 << 20

  package init() {}
}
