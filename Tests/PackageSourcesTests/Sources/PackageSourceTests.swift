import PackageSources
import Testing

@Suite struct PackageSourceTests {
  private var debian: PackageSource {
    var source = PackageSource(kind: .apt)
    source.url = "https://user:secret@deb.example.com/debian/"
    source.version = "bookworm"
    source.components = ["main", "contrib"]
    source.arches = ["amd64", "i386"]
    return source
  }

  @Test func partsAreThoseOfBcfg2sMap() {
    #expect(debian.parts.map(\.arch) == ["amd64", "amd64", "i386", "i386"])
    #expect(debian.parts.map(\.component) == ["main", "contrib", "main", "contrib"])
    var raw = debian
    raw.url = ""
    raw.rawURL = "http://example.com/raw/"
    #expect(raw.parts.map(\.url) == ["http://example.com/raw/", "http://example.com/raw/"])
  }

  @Test func fileNamesSayNoPasswords() {
    let name = debian.indexFileName
    #expect(name.hasPrefix("apt-deb.example.com_debian_bookworm-"))
    #expect(name.hasSuffix(".index"))
    #expect(debian.displayURL == "https://deb.example.com/debian/")
    #expect(PackageSource.withoutPassword("http://example.com/a@b/") == "http://example.com/a@b/")
  }

  @Test func listsOfFieldsDoNotLookAlike() {
    var one = debian
    one.components = ["a", "b"]
    one.arches = ["c"]
    var other = debian
    other.components = ["a"]
    other.arches = ["b", "c"]
    #expect(one.key != other.key)
    #expect(one.indexFileName != other.indexFileName)
  }
}
