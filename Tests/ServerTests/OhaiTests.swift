import Support
import Testing

@testable import Server

private func answer(_ text: String) -> [Element] {
  let element = Element("probe-data", ["name": "Ohai", "source": "Ohai"])
  element.text = text
  return [element]
}

@Test func answersOfOhaiAreKept() async throws {
  let files = PluginRepository.files(["Ohai/two.example.com.json": "{\"platform\": \"bsd\"}"])
  try await CoreBench.run(files: files, settings: PluginRepository.settings("Ohai")) { bench async throws in
    let plugin = try bench.plugin(OhaiPlugin.self)
    let metadata = try await bench.metadata()
    #expect(plugin.getProbes(metadata).map { $0["interpreter"] } == ["/bin/sh"])
    try await plugin.receiveData(metadata, answer("{\"cpu\": {\"total\": 2}}"))
    #expect(try bench.text("Ohai/one.example.com.json") == "{\"cpu\": {\"total\": 2}}")
    let error = await #expect(throws: JSONError.self) { try await plugin.receiveData(metadata, answer("{\"cpu\": ")) }
    #expect(error?.description == "No JSON object could be decoded")
    try await plugin.receiveData(metadata, answer(""))
    let data = try await bench.metadata()[connector: "Ohai"] as? OhaiData
    #expect(data?.value["cpu"]?["total"] == .integer(2))
    let other = try await bench.metadata("two.example.com")[connector: "Ohai"] as? OhaiData
    #expect(other?.value["platform"] == .string("bsd"))
  }
}
