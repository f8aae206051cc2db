"""The documents of many recorded runs, read at the same time from the ledger; those that a local index knows are not read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice

from retrain.archive import entry
from retrain.archive.history import ReadRaw
from retrain.deployment.sections import DEFAULT_PARTITION
from retrain.errors import StoreError
from retrain.inputs.fetched_stage import FetchedStage
from retrain.run.manifest import Manifest
from retrain.run.run_record import RunRecord
from retrain.store import s3
from retrain.store.fetch import Progress
from retrain.store.first_attempt import FirstAttempt
from retrain.store.ledger import ATTEMPT, DESCRIPTION, FETCHED, RECORD, Ledger
from retrain.store.ledger_index import DocumentFacts, DocumentVersion, LedgerIndex
from retrain.store.receipt import Receipt
from retrain.work.dvc.description import Description
from retrain.work.dvc.outputs import Output

_DAYS = "dt="  # begins the folders of runs; events are in others
_AT_A_TIME = 256  # documents whose facts are in memory together


@dataclass(frozen=True)
class Form:
    """The facts that are kept of a kind of document. `name` has a new number when `facts` gives others.

    `document` is its name in an entry, or that of the entry's folder with such documents. `facts` gets the document and its URL, and raises the document type's errors.
    """

    name: str
    document: str
    facts: Callable[[bytes, str], DocumentFacts]


def _of_record(body: bytes, url: str) -> DocumentFacts:
    RunRecord.from_json(body, url)
    return (body.decode(),)


def _of_receipt(body: bytes, url: str) -> DocumentFacts:
    return tuple(proof.key for proof in Receipt.from_json(body, url).proofs)


def _of_fetched(body: bytes, url: str) -> DocumentFacts:
    return FetchedStage.from_json(body, url).keys


def _of_attempt(body: bytes, url: str) -> DocumentFacts:
    return (FirstAttempt.from_json(body, url).receipt,)


def facts_of_manifest(body: bytes, url: str) -> DocumentFacts:
    """Key and ETag of each raw object, and the pattern of the partitions unless it is the default."""
    manifest = Manifest.from_json(body, url)
    objects = tuple(f"{each.key}\t{each.etag}" for each in manifest.objects)
    pattern = manifest.settings.partition
    return objects if pattern == DEFAULT_PARTITION else (*objects, f"\t{pattern}")  # no object has an empty key


def raw_of_facts(facts: DocumentFacts) -> ReadRaw:
    """What `facts_of_manifest` kept."""
    etags = {key: etag for key, _, etag in (fact.rpartition("\t") for fact in facts)}
    return ReadRaw(etags.pop("", DEFAULT_PARTITION), etags)


def _of_description(body: bytes, url: str) -> DocumentFacts:
    return tuple(json.dumps(asdict(output), sort_keys=True) for output in Description.from_json(body, url).stored)


_RECORDS = Form("record 1", RECORD, _of_record)
_RECEIPTS = Form("receipt 1", "receipt.json", _of_receipt)
_MANIFESTS = Form("manifest 1", "manifest.json", facts_of_manifest)
_OUTPUTS = Form("outputs 1", DESCRIPTION, _of_description)
_FETCHED = Form("fetched 1", FETCHED, _of_fetched)  # all documents of the folder
_ATTEMPTS = Form("attempt 1", ATTEMPT, _of_attempt)
_FORMS = (_RECORDS, _RECEIPTS, _MANIFESTS, _OUTPUTS, _FETCHED, _ATTEMPTS)


@dataclass(frozen=True)
class RecordedDocuments:
    """The documents of a pipeline's runs. `listed` has those that one listing of the ledger found, by key below the pipeline.

    A document that is not in `listed` is read without the index. What is returned has the order of the arguments.

    Raises:
        StoreError: every method, if a document does not exist any more, or S3 refuses a request or does not answer.
        RecordError: every method, if a document cannot be read.
        RecordVersionError: every method, if a newer deployment wrote a document.
    """

    ledger: Ledger
    pipeline: str
    index: LedgerIndex
    listed: Mapping[str, DocumentVersion]

    def records(self, progress: Progress = lambda _done, _total: None) -> list[RunRecord]:
        """Every committed run, sorted by partition and run key."""
        keys = [key for key in self.listed if key.endswith(f"/{RECORD}")]
        found = self._facts(_RECORDS, keys, progress)
        pairs = zip(keys, found, strict=True)
        return [RunRecord.from_json(facts[0].encode(), self._url(key)) for key, facts in pairs]

    def stored_keys(self, records: Sequence[RunRecord]) -> Iterator[DocumentFacts]:
        """For each run, the keys of the objects that its receipt proves."""
        return self._facts(_RECEIPTS, [self._key(record, _RECEIPTS) for record in records])

    def fetched_keys(self, first: str = "") -> Iterator[DocumentFacts]:
        """For each stage that has fetched data for a run of `first` or a later day, recorded or not, the keys of its objects."""
        keys = [key for key in self.listed if _kind(key) == FETCHED and key.removeprefix(_DAYS) >= first]
        return self._facts(_FETCHED, keys)

    def attempted_keys(self, first: str = "") -> Iterator[DocumentFacts]:
        """For each attempt at a run of `first` or a later day that was killed before its record, the keys of the objects that it has proven.

        The next attempt completes its entry.
        """
        folders = [
            key.rpartition("/")[0] for key in self.listed if _kind(key) == ATTEMPT and key.removeprefix(_DAYS) >= first
        ]
        folders = [folder for folder in folders if f"{folder}/{RECORD}" not in self.listed]
        names = self._facts(_ATTEMPTS, [f"{folder}/{ATTEMPT}" for folder in folders])
        return self._facts(_RECEIPTS, [f"{folder}/{name}" for folder, (name,) in zip(folders, names, strict=True)])

    def read_raw(
        self, records: Sequence[RunRecord], progress: Progress = lambda _done, _total: None
    ) -> Iterator[ReadRaw]:
        """For each run, the raw objects that it read."""
        for facts in self._facts(_MANIFESTS, [self._key(record, _MANIFESTS) for record in records], progress):
            yield raw_of_facts(facts)

    def outputs(
        self, records: Sequence[RunRecord], progress: Progress = lambda _done, _total: None
    ) -> Iterator[list[Output]]:
        """For each run, its outputs that are on the remote."""
        done, left = 0, iter(records)
        while some := list(islice(left, _AT_A_TIME)):
            described = [record for record in some if record.version_1 is None]
            facts = self._facts(_OUTPUTS, [self._key(record, _OUTPUTS) for record in described])
            found = {
                r.run_key: [Output(**json.loads(fact)) for fact in each]
                for r, each in zip(described, facts, strict=True)
            }
            with ThreadPoolExecutor(s3.AT_ONCE) as pool:
                old = [record for record in some if record.version_1 is not None]
                read = pool.map(lambda record: entry.outputs(record, self.ledger), old)
                found |= {record.run_key: outputs for record, outputs in zip(old, read, strict=True)}
            for record in some:
                done += 1
                progress(done, len(records))
                yield found[record.run_key]

    def _key(self, record: RunRecord, form: Form) -> str:
        return f"{_DAYS}{record.partition}/{record.run_key}/{form.document}"

    def _url(self, key: str) -> str:
        return f"{self.ledger.url}/{self.pipeline}/{key}"

    def _facts(
        self, form: Form, keys: Sequence[str], progress: Progress = lambda _done, _total: None
    ) -> Iterator[DocumentFacts]:
        """For each document, its facts: from the index, else from the ledger, and then kept in the index."""
        for start in range(0, len(keys), _AT_A_TIME):
            some = keys[start : start + _AT_A_TIME]
            known = self.index.known(form.name, (self.listed[key] for key in some if key in self.listed))
            unknown = [key for key in some if key not in known]
            with ThreadPoolExecutor(s3.AT_ONCE) as pool:
                read = dict(zip(unknown, pool.map(lambda key: self._read(form, key), unknown), strict=True))
            # Only a document that still was the listed one when it was read belongs to the listed ETag.
            kept = {
                self.listed[k]: facts
                for k, (facts, etag) in read.items()
                if k in self.listed and etag == self.listed[k].etag
            }
            self.index.keep(form.name, kept)
            progress(start + len(some), len(keys))
            for key in some:
                yield known[key] if key in known else read[key][0]

    def _read(self, form: Form, key: str) -> tuple[DocumentFacts, str]:
        url = self._url(key)
        found = s3.get_with_etag(self.ledger.client, url)
        if found is None:
            raise StoreError(
                f"{url} is gone, though its run is recorded. If the bucket keeps versions, restore it there."
            )
        return form.facts(found[0], url), found[1]


def of_all_days(ledger: Ledger, pipeline: str, index: LedgerIndex) -> RecordedDocuments:
    """The documents of all runs of a pipeline, from one listing. The index forgets documents that are not in it."""
    names = {form.document for form in _FORMS}
    found = s3.entries(ledger.client, f"{ledger.url}/{pipeline}", prefix=_DAYS)
    listed = {each.key: DocumentVersion(each.key, each.etag, each.size) for each in found if _kind(each.key) in names}
    for form in _FORMS:
        index.forget_others(form.name, (key for key in listed if _kind(key) == form.document))
    return RecordedDocuments(ledger, pipeline, index, listed)


def of_some_runs(ledger: Ledger, pipeline: str, index: LedgerIndex) -> RecordedDocuments:
    """The documents of runs that are known already, each read without a listing."""
    return RecordedDocuments(ledger, pipeline, index, {})


def _kind(key: str) -> str:
    """The name of a document `dt=<day>/<run key>/<name>`, or of its folder in an entry."""
    parts = key.split("/")
    direct = len(parts) == 3  # noqa: PLR2004 - day, run key, document
    return parts[2] if direct or parts[2:3] == [FETCHED] else ""
