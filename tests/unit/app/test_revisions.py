"""Do the files of the migrations tell what Alembic reads from them, and does the API start without it?"""

import subprocess
import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import app.db
from app.db.revisions import head_revision, known_revisions


def test_the_files_tell_what_alembic_reads_from_them() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(app.db.__path__[0]) / "migrations"))
    configuration.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(configuration)
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(known_revisions()))
    assert scripts.get_current_head() == head_revision()


def test_the_api_starts_without_alembic() -> None:
    program = "import sys, app.cli, app.main, app.server; sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
