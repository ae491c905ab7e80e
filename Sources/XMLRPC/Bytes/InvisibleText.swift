extension Unicode.Scalar {
  /// True for what shows nothing, or changes how its neighbours are shown: control and format characters, separators and
  /// blanks but U+0020, what Unicode lets a reader ignore (Default_Ignorable_Code_Point: Hangul fillers, variation
  /// selectors), what has no agreed shape, and letters and symbols that are drawn as nothing.
  ///
  /// Source of the properties: Unicode Standard Annex #44, as the Swift standard library has them.
  package nonisolated var isInvisible: Bool {
    if value >= 0x20 && value < 0x7F { return false }
    if properties.isDefaultIgnorableCodePoint || Self.drawnAsNothing.contains(value) { return true }
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator, .surrogate, .privateUse, .unassigned:
      return true
    default:
      return false
    }
  }

  /// Characters without a property that says so: the Braille pattern without dots, the null notehead, the filler of the
  /// Khitan small script, and the blanks of Egyptian hieroglyphs.
  private nonisolated static let drawnAsNothing: Set<UInt32> = [0x2800, 0x1D159, 0x16FE4, 0x13441, 0x13442]
}
