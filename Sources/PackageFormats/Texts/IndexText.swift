import PackageSources

extension IndexBuilder {
  /// The number of a text; an error names the file.
  @inline(__always)
  mutating func number(_ text: ByteText, of file: String) throws(FormatError) -> TextID {
    do throws(IndexBuildError) {
      return try self.text(UnsafeRawBufferPointer(text))
    } catch {
      throw FormatError(file: file, error.description)
    }
  }

  /// Adds to the index; an error names the file.
  @inline(__always)
  mutating func add<Result>(
    of file: String, _ body: (inout IndexBuilder) throws(IndexBuildError) -> Result
  ) throws(FormatError) -> Result {
    do throws(IndexBuildError) {
      return try body(&self)
    } catch {
      throw FormatError(file: file, error.description)
    }
  }
}
