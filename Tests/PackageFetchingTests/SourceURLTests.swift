import PackageFetching
import Testing

@Suite struct SourceURLTests {
  @Test func userAndPasswordAreTakenOutLiterally() {
    let url = SourceURL("https://me:p%41@ss:w@mirror.example.com:8443/debian/")
    #expect(url.description == "https://mirror.example.com:8443/debian/")
    #expect(url.user == Array("me".utf8))
    #expect(url.password == Array("p%41@ss:w".utf8))
    #expect(url.scheme == "https")
  }

  @Test(arguments: [
    "http://mirror.example.com/a@b:c/", "file:///srv/mirror/", "mirror",
  ])
  func whatHasNoPasswordStaysWhole(_ text: String) {
    let url = SourceURL(text)
    #expect(url.password == nil)
    #expect(url.description == text)
  }

  @Test func blanksAndOtherBytesAreEscaped() {
    #expect(SourceURL("http://m/a b/\u{e9}").description == "http://m/a%20b/%C3%A9")
    #expect(SourceURL("http://m/").appending("x y").description == "http://m/x%20y")
  }

  @Test func differentURLsHaveDifferentNames() {
    let long = String(repeating: "a", count: 300)
    let urls = [
      "http://m/a/b", "http://m/a_b", "http://m/a%2Fb", "http://m/a%5Fb", "https://m/a/b", "http://m/A/b",
      "http://m/\(long)/1", "http://m/\(long)/2", "http://m/a/b?c", "http://m/a/b=c",
    ]
    let names = urls.map { SourceURL($0).fileName }
    #expect(Set(names).count == urls.count, "\(names)")
    #expect(names.allSatisfy { $0.utf8.count <= 200 && !$0.contains("/") })
  }

  @Test func noNameTellsAPassword() {
    #expect(SourceURL("http://me:secret@m/x").fileName == SourceURL("http://m/x").fileName)
  }

  @Test func anAddendKeepsThePassword() {
    let url = SourceURL("http://me:secret@m/x/").appending("y")
    #expect(url.password == Array("secret".utf8))
    #expect(url.description == "http://m/x/y")
  }
}
