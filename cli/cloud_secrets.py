"""What to type for a secret on Google Cloud. Pure.

Terraform makes what holds a secret, and people add its values: commands neither write nor print one, since what they
print is logged where they run. A value that comes about like this stands in no history and in no list of processes.
"""


def make(name: str, *, project_id: str) -> list[str]:
    """Return the commands that make a signing secret its newest version."""
    return ["secret=whsec_$(head -c 32 /dev/urandom | base64)", _add(name, project_id)]


def enter(name: str, *, project_id: str) -> list[str]:
    """Return the commands that ask for a value and make it the secret's newest version."""
    return ["read -rs secret", _add(name, project_id)]


def _add(name: str, project_id: str) -> str:
    return f'printf %s "$secret" | gcloud secrets versions add {name} --project={project_id} --data-file=-'
