import CoreSupport
import Support
import Testing

@testable import Plugins

@Suite struct PackagesTemplateTests {
  @Test func templatesSeeTheSources() async throws {
    let files = [
      "Packages/sources.xml": """
      <Sources><Source type='apt' url='http://d' version='sid'><Component>main</Component><Arch>web</Arch></Source></Sources>
      """
    ]
    let templates = [
      "urls": "{% for s in metadata.Packages['sources'] %}${s['url']} ${s['component']} ${s['name']}{% end %}\n",
      "file": "${metadata.Packages['get_config'](metadata)}\n",
    ]
    try await RepositoryFixture.run(templates: templates, files: files, plugins: ["Packages"]) { fixture async throws in
      #expect(try await fixture.rendered("/urls") == "http://d/sid/main/web/ main main\n")
      #expect(try await fixture.rendered("/file").contains("deb http://d/ sid main\n"))
      fixture.edit("Packages/sources.xml", "<Sources/>")
      #expect(try await fixture.rendered("/urls") == "\n")
    }
  }
}
